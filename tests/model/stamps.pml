// SPDX-License-Identifier: BSD-3-Clause
/*
 * The stamp: how long an answer out of the segment outlives an edit by hand.
 *
 * This models one segment, one token, the clock, and an editor that knows no
 * lock, no claim and no word.  Root looks at each hit, renews a settled stamp,
 * re-reads the file for all, and inserts.  Members trust the stamp for the
 * TTL.  A writer of ours may be there too.
 *
 * A tick is the time for which the clock of the file may give one ctime twice:
 * two edits in place within a tick leave the same identity.  The C++ has 2 s
 * for it.  SETTLE is one tick, since the clock here ticks with that of the
 * file: any other order of their ticks only makes identities differ sooner.
 * No other relation of the two clocks is used, but by a mutant.
 *
 * What is left out, and why that is sound:
 * - Torn slots, deaths with the lock held, upstream's word: claims.pml.  A
 *   claimant without the lock dies here too, as it may take no further step.
 * - Other views: views.pml.  So rule 6 always holds.
 * - The note.  A re-reader may be taken over at any moment.
 * - An edit whose write(2) sets ctime in one tick and copies in a later one.
 *   No look can tell it, and I3 does not cover it.
 */
#include "word.inc"

#ifndef VERIFIERS
#define VERIFIERS 1 /* Processes of root ... */
#endif
#ifndef ROUNDS
#define ROUNDS 1 /* ... of so many verifications each. */
#endif
#ifndef REREADERS
#define REREADERS 0 /* Processes of root that re-read for all, once each. */
#endif
#ifndef MEMBERS
#define MEMBERS 0 /* One verification each. */
#endif
#ifndef WRITERS
#define WRITERS 0 /* Each deletes the token, once. */
#endif
#ifndef EDITS
#define EDITS 1
#endif
#ifndef TICKS
#define TICKS 1
#endif
#ifndef TTL
#define TTL 1 /* In ticks. */
#endif
#define SETTLE 1
#ifndef FIRST
#define FIRST 1 /* What the file holds at first. */
#endif

/* Everybody presents secret 1.  The stored hash of secret n is n. */
#define NO_TOKEN 0

/* --- the segment */

byte generation;

typedef Slot {
  byte generation;
  byte stored
};
Slot slot;

typedef Stamp {
  byte generation;
  byte time;     /* When the file was found unchanged ... */
  byte identity; /* ... and as what ... */
  byte first;    /* ... and when that identity was first seen. */
  bit settled    /* Of time and first, but for the mutants. */
};
Stamp stamp;
#define NOT_SEEN 255

/* --- the host */

byte lock = NOBODY;
byte now = 1;

#define INODES (1 + WRITERS + EDITS)
byte path;
byte content[INODES];
byte changed[INODES]; /* The ctime. */
byte inodes = 1;
bit editing; /* Between the two halves of an edit, which lie in one tick. */
#define IDENTITY(inode) (8 * (inode) + changed[inode])
#define CTIME_OF(identity) ((identity) % 8)
#define HOLDS (content[path] == 1)

/* --- what the invariants speak of; no process looks at it */

byte left_since;    /* Bit n: the file held secret 1 since n began, ... */
byte came_since;    /* ... or did not hold it, ... */
byte altered_since; /* ... or changed its identity. */
byte left_at;       /* When it last ceased to hold secret 1, ... */
byte came_at;       /* ... or began to, ... */
bit by_editor;      /* ... and no writer has replaced the file since then. */

bit edit_not_seen;
bit edit_not_seen_by_member;

#define MY(bits) (((bits) >> me) & 1)
#define FORGET_MINE \
  left_since = left_since & ~(1 << me); \
  came_since = came_since & ~(1 << me); \
  altered_since = altered_since & ~(1 << me)

/* What the file holds now, or held at some moment since the process began. */
#define IS_RIGHT(accepts) \
  ((accepts) == HOLDS || ((accepts) && MY(left_since)) || \
   (!(accepts) && MY(came_since)))

/* Within a bound after an edit, by the clock that the process read first. */
#define IS_RECENT(accepts, bound) \
  (by_editor && ((accepts) -> left_at : came_at) + (bound) > moment)

/*
 * I3, of an answer out of the segment.  A process that looks obeys each edit
 * at once that alters the identity, and any other within SETTLE.  With a TTL
 * of 0 it obeys all at once.  A member obeys each within the TTL.  I1 follows:
 * by_editor is false after a write of ours.
 */
#if TTL == 0
#define BOUND 0
#else
#define BOUND SETTLE
#endif
inline judge(accepts) {
  edit_not_seen =
      (is_root && !IS_RIGHT(accepts) &&
       !(IS_RECENT(accepts, BOUND) &&
         (IDENTITY(path) == mine.identity || MY(altered_since))));
  assert(!edit_not_seen);
  edit_not_seen_by_member =
      (!is_root && !IS_RIGHT(accepts) && !IS_RECENT(accepts, TTL));
  assert(!edit_not_seen_by_member)
}

/* --- what any process needs */

#define LOCALS \
  byte claimed, may_insert, stored, opened, old_first; \
  bit is_ours; \
  Stamp mine
#define FORGET_STAMP \
  mine.time = 0; mine.identity = 0; mine.first = 0; mine.settled = 0
#define FORGET_ALL \
  claimed = 0; may_insert = 0; stored = 0; opened = 0; old_first = 0; \
  FORGET_STAMP

inline copy_stamp(from, to) {
  to.time = from.time;
  to.identity = from.identity;
  to.first = from.first;
  to.settled = from.settled
}

inline unlock() {
  atomic {
    if
    :: lock == me -> lock = NOBODY
    :: else
    fi
  }
}

#define NEXT_STEP } atomic {

/*
 * Rule 4, after the claim: the clock, the open with fstat, the clock once more
 * for first seen, the content.  The old stamp may be of any generation.
 */
inline read_for_all() {
  atomic {
#ifdef MUTANT_CLOCK_AFTER_REREADERS_LOOK
    opened = path;
    mine.identity = IDENTITY(opened);
    NEXT_STEP
    mine.time = now;
    NEXT_STEP
    stored = content[opened];
#elif defined(MUTANT_IDENTITY_AFTER_THE_READ)
    mine.time = now;
    NEXT_STEP
    stored = content[path];
    NEXT_STEP
    opened = path;
    mine.identity = IDENTITY(opened);
#else
    mine.time = now;
    NEXT_STEP
    opened = path;
    mine.identity = IDENTITY(opened);
#endif
#ifdef MUTANT_FIRST_SEEN_AFTER_THE_READ
    NEXT_STEP
    stored = content[opened];
#endif
    old_first = (stamp.generation != NEVER &&
                 stamp.identity == mine.identity && stamp.first <= now
                 -> stamp.first : NOT_SEEN);
    NEXT_STEP
#ifdef MUTANT_FIRST_SEEN_BEFORE_THE_LOOK
    mine.first = (old_first == NOT_SEEN -> mine.time : old_first);
#else
    mine.first = (old_first == NOT_SEEN -> now : old_first);
#endif
#if defined(MUTANT_SETTLED_BY_THE_WALL_CLOCK)
    /* The host's clock is some ticks ahead of the file's. */
    mine.settled = (CTIME_OF(mine.identity) < mine.time + SKEW);
#elif defined(MUTANT_NO_RACY_RULE)
    mine.settled = 1;
#else
    mine.settled = (mine.time >= mine.first + SETTLE);
#endif
    old_first = 0;
#if !defined(MUTANT_CLOCK_AFTER_REREADERS_LOOK) && \
    !defined(MUTANT_IDENTITY_AFTER_THE_READ) && \
    !defined(MUTANT_FIRST_SEEN_AFTER_THE_READ)
    NEXT_STEP
    stored = content[opened];
#endif
    opened = 0
  }
  /* It carries the slot over; here, whoever re-reads knows the fact. */
  atomic { slot.generation = ENDED(claimed); slot.stored = stored }
  /* The stamp, if the word is still its own; a stop may lie in between. */
  atomic { is_ours = (generation == claimed) }
  atomic {
    if
    :: is_ours -> stamp.generation = ENDED(claimed); copy_stamp(mine, stamp)
    :: else
    fi;
    is_ours = 0;
    FORGET_STAMP
  }
  atomic {
    if
    :: generation == claimed ->
       generation = ENDED(claimed);
       may_insert = ENDED(claimed)
    :: else -> may_insert = NEVER
    fi;
    claimed = 0
  }
}

/* --- who verifies */

#ifdef MUTANT_EXPIRED_STAMP_USED_BY_OTHERS
byte looking = NOBODY;
#endif
#define STAMP_IS_FOR(g) ((g) != NEVER && stamp.generation == (g))

#define IS_FRESH (mine.time <= moment && moment - mine.time < TTL)

proctype Verifier(byte me; bit is_root; bit only_rereads) {
  byte rounds, seen, moment;
  LOCALS;

  if
  :: only_rereads -> goto stale
  :: else
  fi;
  /* The clock, the word, the stamp. */
again:
  atomic { FORGET_MINE; moment = now }
  atomic {
    seen = generation;
    if
    :: IN_FORCE(seen) && seen != NEVER
    :: else -> goto stale
    fi
  }
  atomic {
    if
    :: STAMP_IS_FOR(seen) -> copy_stamp(stamp, mine)
    :: else -> goto stale
    fi;
    if
    :: !is_root && IS_FRESH -> goto in_force
    :: !is_root && !IS_FRESH -> goto stale
#ifdef MUTANT_HIT_WITHOUT_A_LOOK
    :: is_root && IS_FRESH -> goto in_force
    :: is_root && !IS_FRESH
#else
    :: is_root
#endif
    fi
  }
#ifdef MUTANT_EXPIRED_STAMP_USED_BY_OTHERS
  atomic {
    if
    :: looking == NOBODY -> looking = me
    :: else -> goto in_force
    fi
  }
#endif
  /* Root looks. */
  atomic {
    if
    :: IDENTITY(path) != mine.identity -> goto stale
    :: else
    fi;
#ifdef MUTANT_CLOCK_AFTER_THE_LOOK
    NEXT_STEP
    moment = now;
    NEXT_STEP
#endif
    /*
     * An unsettled stamp lasts SETTLE from first seen, and not at all with a
     * TTL of 0.
     */
    if
    :: mine.settled
#ifdef MUTANT_SETTLED_WHEN_SEEN_AGAIN
    :: !mine.settled && moment >= mine.first + SETTLE
#else
    :: !mine.settled && moment >= mine.first + SETTLE -> goto stale
#endif
    :: !mine.settled && moment < mine.first + SETTLE && TTL == 0 -> goto alone
    :: !mine.settled && moment < mine.first + SETTLE && TTL != 0 ->
       goto in_force
    fi;
    /* It renews an unchanged, settled stamp, at the latest if it is expired. */
    if
    :: moment > mine.time -> skip
    :: IS_FRESH || moment <= mine.time -> goto in_force
    fi
  }
  atomic {
    if
    :: generation == seen
    :: else -> goto in_force
    fi
  }
  atomic {
    stamp.generation = seen;
    stamp.time = moment;
    stamp.identity = mine.identity;
    stamp.first = mine.first;
    stamp.settled = 1
  }
in_force:
  atomic {
    if
    :: slot.generation == seen -> stored = slot.stored
    :: else -> goto alone
    fi
  }
  atomic {
    if
    :: generation == seen
    :: else -> goto alone
    fi;
    judge(stored == 1);
    goto over
  }

  /* Rule 2.  The time that a re-reader has may be over at any moment. */
stale:
  atomic {
    FORGET_STAMP;
    if
    :: !is_root -> goto over /* It asks the helper, which is root. */
    :: is_root
    fi;
    seen = generation
  }
#if WRITERS
  if
  :: IS_A_WRITERS(seen) ->
     atomic {
       if
       :: lock == NOBODY -> lock = me
       :: else -> goto alone
       fi
     }
  :: else
  fi;
#endif
  atomic {
    if
    :: generation == seen ->
       claimed = NEXT_REREADERS(seen);
       generation = claimed
    :: else -> unlock(); goto alone
    fi
  }
  read_for_all();
  unlock();
  if
  :: only_rereads -> goto over
  :: else -> goto insert
  fi;

  /* Rule 5: the generation, its stamp, and the file that the stamp names. */
alone:
  atomic {
    FORGET_ALL;
    if
    :: is_root && IN_FORCE(generation) -> may_insert = generation
    :: else -> goto over
    fi
  }
  atomic {
    if
    :: STAMP_IS_FOR(may_insert) -> mine.identity = stamp.identity
    :: else -> goto over
    fi
  }
  atomic {
    opened = path;
#ifndef MUTANT_INSERT_OF_ANOTHER_FILE
    if
    :: IDENTITY(opened) == mine.identity
    :: else -> goto over
    fi;
#endif
    mine.identity = 0
  }
  atomic { stored = content[opened]; opened = 0 }
insert:
  if
  :: may_insert != NEVER && stored != NO_TOKEN ->
     atomic { slot.generation = may_insert; slot.stored = stored }
  :: else
  fi;
over:
  atomic {
#ifdef MUTANT_EXPIRED_STAMP_USED_BY_OTHERS
    if
    :: looking == me -> looking = NOBODY
    :: else
    fi;
#endif
    FORGET_ALL;
    FORGET_MINE;
    seen = 0;
    moment = 0;
    rounds++;
    if
    :: is_root && !only_rereads && rounds < ROUNDS -> goto again
    :: else -> rounds = 0
    fi
  }
}

/* --- who changes the file */

inline note_change(new, its_identity) {
  if
  :: HOLDS && (new) != 1 -> left_at = now; left_since = 255; by_editor = 1
  :: !HOLDS && (new) == 1 -> came_at = now; came_since = 255; by_editor = 1
  :: else
  fi;
  if
  :: (its_identity) != IDENTITY(path) -> altered_since = 255
  :: else
  fi
}

proctype Editor() {
  byte edits, new;

  do
  :: edits < EDITS ->
     edits++;
     if
     :: new = 1
     :: new = 2
     fi;
     if
     :: /* In place, of the same size, with mtime restored.  The kernel sets
           ctime first and copies then. */
        atomic {
          note_change(content[path], 8 * path + now);
          changed[path] = now;
          editing = 1;
#ifndef WHOLE_EDITS
          NEXT_STEP
#endif
          note_change(new, IDENTITY(path));
          content[path] = new;
          editing = 0
        }
     :: /* By renaming. */
        atomic {
          changed[inodes] = now;
          note_change(new, IDENTITY(inodes));
          content[inodes] = new;
          path = inodes;
          inodes++
        }
     :: /* The first file comes back as it was: by umount(8), for one. */
        atomic {
          path != 0 ->
          note_change(content[0], IDENTITY(0));
          path = 0
        }
     fi;
     new = 0
  :: else -> break
  od;
  edits = 0
}

#if WRITERS
proctype Writer(byte me) {
  byte claimed;

  atomic { lock == NOBODY -> lock = me }
  atomic { claimed = NEXT_WRITERS(generation); generation = claimed }
  /* It replaces the file that it read under the lock; else it starts over. */
  atomic {
    !editing ->
    changed[inodes] = now;
    note_change(2, IDENTITY(inodes));
    by_editor = 0;
    content[inodes] = 2;
    path = inodes;
    inodes++
  }
  atomic {
    if
    :: generation == claimed -> generation = ENDED(claimed)
    :: else
    fi;
    claimed = 0
  }
  unlock()
}
#endif

proctype Clock() {
  do
  :: atomic { now <= TICKS && !editing -> now++ }
  :: now > TICKS -> break
  od
}

init {
  byte i;

  atomic {
    /* The file holds secret FIRST, and changed just now or before. */
    content[0] = FIRST;
    if
    :: changed[0] = 0
    :: changed[0] = 1
    fi;
    /*
     * The segment is new; or it is stamped, with a full or an empty slot.
     * Rows of many processes have WARM: it is stamped and the slot is full.
     */
    if
#ifndef WARM
    :: generation = BORN
#endif
    :: generation = 4;
       stamp.generation = 4;
       stamp.time = now;
       stamp.identity = IDENTITY(0);
       stamp.first = changed[0];
       stamp.settled = (changed[0] == 0);
#if defined(MUTANT_NO_RACY_RULE) || defined(MUTANT_SETTLED_BY_THE_WALL_CLOCK)
       stamp.settled = 1;
#endif
       if
       :: slot.generation = 4; slot.stored = content[0]
#ifndef WARM
       :: true
#endif
       fi
    fi;
#if VERIFIERS
    for (i : 1 .. VERIFIERS) {
      run Verifier(i, 1, 0)
    }
#endif
#if REREADERS
    for (i : 1 .. REREADERS) {
      run Verifier(VERIFIERS + MEMBERS + WRITERS + i, 1, 1)
    }
#endif
#if MEMBERS
    for (i : 1 .. MEMBERS) {
      run Verifier(VERIFIERS + i, 0, 0)
    }
#endif
#if WRITERS
    for (i : 1 .. WRITERS) {
      run Writer(VERIFIERS + MEMBERS + i)
    }
#endif
    run Editor();
    run Clock();
    i = 0
  }
}
