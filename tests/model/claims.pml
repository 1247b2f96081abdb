// SPDX-License-Identifier: BSD-3-Clause
/*
 * Claims of two kinds: who may take the generation word from whom.
 *
 * This models one segment and one token.  Writers set or delete the token
 * under the lock.  Root verifies, re-reads the file for all and inserts.
 * Members read the segment and trust the stamp.  The holder of the lock may
 * die before any step, and the kernel then gives the lock back.  A process may
 * stop for ever before any step: the checker also tries the orders in which it
 * takes no further step.
 *
 * What is left out, and why that is sound:
 * - Time.  A re-reader may be taken over at any moment, so nothing here rests
 *   on the note.  A stamp never expires, so members trust it for longer than
 *   they may.  stamps.pml has the time, notes.pml the note.
 * - Edits by others: stamps.pml.  So an identity is an inode, each rename
 *   makes a new one, and what an inode holds never changes.
 * - Other views: views.pml.  So rule 6 always holds, and its steps touch
 *   nothing that is shared.
 * - Segments that come and go: table.pml.  So the walk finds this one.
 * - Digests.  A digest fits exactly what it was made of.
 * - Weak memory.  The C++ has a sequentially consistent claim, an acquire load
 *   and an acquire fence for it.
 *
 * 'Rule n' is the rule of that number in include/pbstoken/cache/generation.h.
 */
#include "word.inc"

#ifndef WRITERS
#define WRITERS 1 /* Each writes once. */
#endif
#ifndef VERIFIERS
#define VERIFIERS 1 /* Processes of root, one verification each. */
#endif
#ifndef REREADERS
#define REREADERS 0 /* Processes of root that re-read for all, once each. */
#endif
#ifndef MEMBERS
#define MEMBERS 0 /* One verification each. */
#endif
#ifndef KILLS
#define KILLS 0 /* Deaths of the holder of the lock. */
#endif
#ifndef STOPS
#define STOPS 0 /* Stops for ever, as I6 has to bear them. */
#endif
#ifndef LOCKS
#define LOCKS 1 /* 2: the last writer's configuration names another lock. */
#endif

/*
 * Everybody presents secret 1.  A stored hash is a number, and the odd ones
 * are hashes of secret 1.  Two writes never make the same stored hash, since
 * each has a salt of its own.
 */
#define MATCHES(stored) ((stored) % 2 == 1)
#define NO_TOKEN 0

/* --- the segment */

byte generation;

/*
 * One slot for all is the hardest case: each insert pushes out another.  A
 * slot is stored and loaded in two halves, so two stores may mix.  Rows of
 * many processes have WHOLE_SLOTS and leave that to the others.
 */
#ifdef WHOLE_SLOTS
#define HALF skip
#else
#define HALF } atomic { or_die()
#endif
typedef Slot {
  byte generation;
  byte stored;
  short check
};
Slot slot;
#define CHECK_OF(generation, stored) ((generation) * 8 + (stored))
#ifdef MUTANT_GENERATION_WORD_PER_SLOT
#define IS_WHOLE(s) true
#else
#define IS_WHOLE(s) (s.check == CHECK_OF(s.generation, s.stored))
#endif

/* A torn stamp is no stamp, so this one is stored and loaded whole. */
typedef Stamp {
  byte generation;
  byte identity
};
Stamp stamp;

/* --- the host */

byte lock[2] = NOBODY; /* The header of the segment names lock 0. */

/* token.shadow: the inode that its name leads to, and what each holds. */
#define INODES (1 + WRITERS)
byte path;
byte content[INODES];
byte inodes = 1;
#define ON_DISK content[path]

/* --- what the invariants speak of; no process looks at it */

byte left_since; /* Bit n: the file held the secret since n began, ... */
byte came_since; /* ... or it did not hold it. */
bit untold;      /* A rename that upstream's word was not raised after. */
byte kills;
byte stops;

bit old_secret_accepted;
bit new_secret_refused;
bit upstream_not_told;

/*
 * I1 and I2, of an answer out of the segment: the file gave the same answer at
 * some moment since the verification began.  A write that returned before that
 * moment is therefore obeyed.  With AT_THE_LAST_LOAD, the file gives that
 * answer at the moment of the second load of the word.
 */
#ifdef AT_THE_LAST_LOAD
#define SINCE(bits) false
#else
#define SINCE(bits) (((bits) >> me) & 1)
#endif
inline judge(accepts) {
  old_secret_accepted =
      ((accepts) && !MATCHES(ON_DISK) && !SINCE(left_since));
  assert(!old_secret_accepted);
  new_secret_refused =
      (!(accepts) && MATCHES(ON_DISK) && !SINCE(came_since));
  assert(!new_secret_refused)
}

/*
 * Upstream is told of every rename before bindings are in force again.  Rows
 * without UPSTREAM ask for I1 and I2 alone.
 */
inline judge_upstream() {
#ifdef UPSTREAM
  upstream_not_told = (IN_FORCE(generation) && untold);
  assert(!upstream_not_told)
#else
  skip
#endif
}

/* --- deaths and stops, at the beginning of any step */

inline or_die() {
  if
  :: true
#if KILLS
  :: kills < KILLS && lock[my_lock] == me ->
     kills++;
     lock[my_lock] = NOBODY;
     goto dead
#endif
#if STOPS
  :: stops < STOPS -> stops++; goto stopped
#endif
  fi
}

#define LOCALS \
  byte my_lock, found, claimed, may_insert, stored, identity; \
  Slot copy
#define FORGET_COPY copy.generation = 0; copy.stored = 0; copy.check = 0
#define FORGET_ALL \
  found = 0; claimed = 0; may_insert = 0; stored = 0; identity = 0; \
  FORGET_COPY

inline unlock() {
  atomic {
    or_die();
    if
    :: lock[my_lock] == me -> lock[my_lock] = NOBODY
    :: else
    fi
  }
}

/* Where a process ends; a stopped one stays and may keep the lock. */
inline the_end() {
  goto gone;
stopped:
  FORGET_ALL;
end_stopped:
  false;
dead:
gone:
  FORGET_ALL
}

/* --- claims: rules 1 to 4 */

inline raise_word() {
#ifdef UPSTREAM
  atomic { or_die(); untold = 0 }
#else
  skip
#endif
}

/*
 * Rule 3: the holder of the lock who finds a writer's number raises
 * upstream's word before it claims.  Nobody else can claim from that number,
 * so the compare-and-swap below succeeds.  From another number a writer tries
 * again until it succeeds, which is one step here.
 */
inline claim_under_lock(as_a_writer) {
  atomic { or_die(); found = generation }
#if !defined(MUTANT_TOLD_AFTER_THE_TAKEOVER) && \
    !defined(MUTANT_TAKEOVER_TELLS_NOBODY)
  if
  :: IS_A_WRITERS(found) -> raise_word()
  :: else
  fi;
#endif
  atomic {
    or_die();
    if
    :: generation == RETIRED -> claimed = NEVER
    :: else ->
       claimed = NEXT(as_a_writer, generation);
       generation = claimed
    fi
  }
#ifdef MUTANT_TOLD_AFTER_THE_TAKEOVER
  if
  :: IS_A_WRITERS(found) -> raise_word()
  :: else
  fi;
#endif
  found = 0
}

inline end_claim() {
  atomic {
    or_die();
    if
    :: generation == claimed ->
       generation = ENDED(claimed);
       may_insert = ENDED(claimed)
    :: else ->
#ifdef MUTANT_END_BY_PLAIN_STORE
       generation = ENDED(claimed);
       may_insert = ENDED(claimed)
#else
       may_insert = NEVER
#endif
    fi;
    judge_upstream();
    claimed = 0;
    identity = 0
  }
}

/* --- slots */

inline store_slot(the_generation, the_stored) {
  atomic {
    or_die();
    slot.generation = the_generation;
    HALF;
    slot.stored = the_stored;
    slot.check = CHECK_OF(the_generation, the_stored)
  }
}

inline load_slot() {
  atomic {
    or_die();
    copy.generation = slot.generation;
    HALF;
    copy.stored = slot.stored;
    copy.check = slot.check
  }
}

/* --- what a re-reader does after its claim */

inline open_and_read() {
  atomic { or_die(); identity = path; stored = content[identity] }
}

/* Rule 1: slots and stamp are stored before the end, made for its number. */
inline bind_stamp_and_end() {
  load_slot();
  if
  :: copy.stored == stored && stored != NO_TOKEN && IS_WHOLE(copy) ->
     FORGET_COPY;
     store_slot(ENDED(claimed), stored)
  :: else -> FORGET_COPY
  fi;
  /* The load and the stores are two steps, and a stop may lie between. */
  atomic { or_die(); found = generation }
#ifndef CONTROL_STAMP_WITHOUT_ASKING
  if
  :: found == claimed ->
#endif
     atomic {
       or_die();
       stamp.generation = ENDED(claimed);
       stamp.identity = identity
     }
#ifndef CONTROL_STAMP_WITHOUT_ASKING
  :: else
  fi;
#endif
  found = 0;
  end_claim()
}

/* --- who verifies */

proctype Verifier(byte me; bit is_root; bit only_rereads) {
  byte seen;
  LOCALS;

  if
  :: only_rereads -> goto stale
  :: else
  fi;
  /* The word, and the stamp that has to be of this generation. */
again:
  atomic {
    or_die();
    left_since = left_since & ~(1 << me);
    came_since = came_since & ~(1 << me);
    seen = generation;
    if
    :: IN_FORCE(seen) && seen != NEVER
    :: else ->
#ifdef MUTANT_VERIFIER_WAITS_FOR_THE_WORD
       goto again
#else
       goto stale
#endif
    fi
  }
  atomic {
    or_die();
    if
    :: stamp.generation == seen -> identity = stamp.identity
    :: else -> goto stale
    fi
  }
  /* Who may see the file looks at it; members trust the stamp. */
  if
  :: is_root ->
     atomic {
       or_die();
       if
       :: path == identity -> identity = 0
       :: else -> goto stale
       fi
     }
  :: else -> identity = 0
  fi;
  /* The slot, and the word once more. */
  load_slot();
  if
  :: copy.generation == seen && copy.stored != NO_TOKEN && IS_WHOLE(copy)
  :: else -> goto alone
  fi;
  atomic {
    or_die();
    if
#ifdef MUTANT_NO_SECOND_LOAD
    :: true -> judge(MATCHES(copy.stored))
#else
    :: generation == seen -> judge(MATCHES(copy.stored))
    :: else -> goto alone
#endif
    fi;
    goto over
  }

  /* Rule 2.  The time that a re-reader has may be over at any moment. */
stale:
  atomic {
    identity = 0;
    if
    :: is_root
    :: else -> goto over /* It asks the helper, which is root. */
    fi
  }
#ifdef MUTANT_CLAIM_AFTER_THE_READ
  open_and_read();
#endif
  atomic { or_die(); seen = generation }
  if
  :: seen == RETIRED -> goto over
#ifdef MUTANT_TAKEOVER_WITHOUT_THE_LOCK
  :: seen != RETIRED ->
#else
  :: IN_FORCE(seen) || IS_A_REREADERS(seen) ->
#endif
     atomic {
       or_die();
       if
       :: generation == seen ->
          claimed = NEXT_REREADERS(seen);
          generation = claimed
       :: else -> goto alone
       fi
     }
#ifndef MUTANT_TAKEOVER_WITHOUT_THE_LOCK
  :: IS_A_WRITERS(seen) ->
     /* A verifier tries once. */
     atomic {
       or_die();
       if
       :: lock[my_lock] == NOBODY -> lock[my_lock] = me
#ifndef MUTANT_VERIFIER_WAITS_FOR_THE_LOCK
       :: else -> goto alone
#endif
       fi
     }
     claim_under_lock(false);
     if
     :: claimed == NEVER -> unlock(); goto over
     :: else
     fi
#endif
  fi;
#ifndef MUTANT_CLAIM_AFTER_THE_READ
  open_and_read();
#endif
  bind_stamp_and_end();
  unlock();
  if
  :: only_rereads -> goto over
  :: else -> goto insert
  fi;

  /* Rule 5: the generation, its stamp, and the file that the stamp names. */
alone:
  atomic {
    or_die();
    FORGET_ALL;
    if
    :: !is_root -> goto over
    :: is_root && IN_FORCE(generation) -> may_insert = generation
    :: is_root && !IN_FORCE(generation) -> goto over
    fi
  }
  atomic {
    or_die();
    if
    :: stamp.generation == may_insert -> identity = stamp.identity
    :: else -> goto over
    fi
  }
  atomic {
    or_die();
    if
    :: path == identity -> stored = content[identity]; identity = 0
    :: else -> goto over
    fi
  }
insert:
#ifdef MUTANT_INSERT_UNDER_THE_PRESENT_GENERATION
  atomic { may_insert = (IN_FORCE(generation) -> generation : NEVER) }
#endif
  if
  :: may_insert != NEVER && stored != NO_TOKEN ->
     store_slot(may_insert, stored)
  :: else
  fi;
over:
  atomic {
    seen = 0;
    left_since = left_since & ~(1 << me);
    came_since = came_since & ~(1 << me)
  }
  the_end()
}

/* --- who writes */

inline rename(new) {
  atomic {
    or_die();
    if
    :: MATCHES(ON_DISK) && !MATCHES(new) -> left_since = 255
    :: !MATCHES(ON_DISK) && MATCHES(new) -> came_since = 255
    :: else
    fi;
    content[inodes] = new;
    path = inodes;
    inodes++;
#ifdef UPSTREAM
    untold = 1
#endif
  }
}

/* The lock of another configuration lets its holder retire, and no more. */
#ifdef MUTANT_CLAIM_WITH_ANOTHER_LOCK
#define MAY_CLAIM true
#else
#define MAY_CLAIM (my_lock == 0)
#endif

inline claim_or_retire() {
  if
  :: MAY_CLAIM -> claim_under_lock(true)
  :: !MAY_CLAIM -> atomic { or_die(); generation = RETIRED }
  fi
}

proctype Writer(byte me; byte which) {
  byte new;
  LOCALS;

  /* Delete, a hash of another secret, or a hash of secret 1. */
  atomic {
    my_lock = which;
    if
    :: new = 2 * me + 2
#ifndef REVOKED_ONLY
    :: new = 2 * me + 3
    :: new = NO_TOKEN
#endif
    fi
  }
  /* A writer waits, and gives up where a stopped process keeps the lock. */
  if
  :: atomic { lock[my_lock] == NOBODY -> lock[my_lock] = me }
  :: stops != 0 && lock[my_lock] != NOBODY -> goto gone
  fi;
#ifdef MUTANT_CLAIM_AFTER_THE_RENAME
  rename(new);
  claim_or_retire();
#else
#ifndef MUTANT_WRITER_DOES_NOT_CLAIM
  claim_or_retire();
#endif
  /* A rename may fail.  Then the claim ends, and nothing is owed. */
  if
  :: rename(new)
#ifndef RENAMES_SUCCEED
  :: goto ended
#endif
  fi;
#endif
  /* Rule 4: upstream's word, then the end. */
#ifndef MUTANT_TOLD_AFTER_THE_END
  raise_word();
#endif
ended:
  if
  :: claimed != NEVER -> end_claim()
  :: else
  fi;
#ifdef MUTANT_TOLD_AFTER_THE_END
  raise_word();
#endif
  /* It puts its secret in as a re-reader, if it wrote one that it knows. */
  if
  :: MAY_CLAIM && new != NO_TOKEN ->
     claim_under_lock(false);
     if
     :: claimed != NEVER ->
        open_and_read();
        bind_stamp_and_end();
        if
        :: may_insert != NEVER && stored == new ->
           store_slot(may_insert, stored)
        :: else
        fi
     :: else
     fi
  :: else
  fi;
  unlock();
  the_end();
  new = 0;
  my_lock = 0
}

init {
  byte i;

  atomic {
    /* The file holds secret 1, or another. */
    if
    :: content[0] = 1
#ifndef REVOKED_ONLY
    :: content[0] = 2
#endif
    fi;
    /*
     * The segment is new; or it is stamped, with a full or an empty slot.
     * Rows of many processes have WARM: it is stamped and the slot is full.
     */
    if
#ifndef WARM
    :: generation = BORN
#endif
    :: generation = 4; stamp.generation = 4; stamp.identity = 0;
       if
#ifndef WARM
       :: true
#endif
       :: slot.generation = 4;
          slot.stored = content[0];
          slot.check = CHECK_OF(4, slot.stored)
       fi
    fi;
    for (i : 1 .. WRITERS) {
      run Writer(i, (i == WRITERS -> LOCKS - 1 : 0))
    }
#if VERIFIERS
    for (i : 1 .. VERIFIERS) {
      run Verifier(WRITERS + i, 1, 0)
    }
#endif
#if REREADERS
    for (i : 1 .. REREADERS) {
      run Verifier(WRITERS + VERIFIERS + MEMBERS + i, 1, 1)
    }
#endif
#if MEMBERS
    for (i : 1 .. MEMBERS) {
      run Verifier(WRITERS + VERIFIERS + i, 0, 0)
    }
#endif
    i = 0
  }
}
