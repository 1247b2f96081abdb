// SPDX-License-Identifier: BSD-3-Clause
/*
 * Views: no process answers, or changes anything for others, by a file that
 * they do not see.
 *
 * This models two directories with a file of the same name in each, and the
 * segment of each view.  In a third view a file is mounted over that of the
 * home directory.  Processes of root verify; each begins in any view with any
 * segment attached, and its view may turn before any step.  A member stays at
 * home.  A writer and an editor by hand change the file at home.  All of it is
 * symmetric, so nothing is lost by their staying there.
 *
 * What is left out, and why that is sound:
 * - Edits in place.  Each edit is a rename, so each file that was ever there
 *   has an identity of its own, and every stamp is settled.  stamps.pml has
 *   the others.
 * - Torn slots, deaths with the lock held, upstream's word: claims.pml.  So
 *   nobody takes over a writer here.
 * - The note.  A re-reader may be taken over at any moment.
 * - Making and finding segments: table.pml.
 */
#include "word.inc"

#ifndef VERIFIERS
#define VERIFIERS 1 /* Processes of root, one verification each. */
#endif
#ifndef MEMBERS
#define MEMBERS 1 /* One verification each. */
#endif
#ifndef WRITERS
#define WRITERS 0 /* Each writes once. */
#endif
#ifndef EDITS
#define EDITS 0
#endif
#ifndef TICKS
#define TICKS 0
#endif
#ifndef TURNS
#define TURNS 1 /* Of any process of root, before any step. */
#endif
#ifndef REATTACHES
#define REATTACHES 0 /* Another thread of a process attaches its view's. */
#endif
#ifndef TTL
#define TTL 1 /* In ticks. */
#endif

/* Everybody presents secret 1.  The stored hash of secret n is n. */
#define NO_TOKEN 0

#define HOME 0
#define AWAY 1
#define COVERED 2 /* The home directory with another file over the file. */
#define VIEWS 3
#define DIRECTORY_IN(view) ((view) == AWAY -> AWAY : HOME)

/* Segment n has directory n in its header. */
typedef Segment {
  byte generation;
  byte slot_generation;
  byte slot_stored;
  byte stamp_generation;
  byte stamp_time;
  byte stamp_identity
};
Segment segment[2];

byte now = 1;

/* What each view sees at the name.  An inode is never edited. */
#define INODES (3 + WRITERS + EDITS)
byte path[VIEWS];
byte content[INODES];
byte inodes = 3;

/* --- what the invariants speak of; no process looks at it */

byte left_since; /* Bit n: the file at home held secret 1 since n began, ... */
byte came_since; /* ... or did not hold it. */
byte left_at;
byte came_at;
bit by_editor; /* The last change was no writer's. */
byte turns;
byte reattaches;

bit wrong_for_who_looks;
bit wrong_for_a_member;

#define MY(bits) (((bits) >> me) & 1)
#define FORGET_MINE \
  left_since = left_since & ~(1 << me); \
  came_since = came_since & ~(1 << me)
#define HOLDS(view) (content[path[view]] == 1)

/* I8: of one file that the process saw since it began. */
#define SAW_IT_IN(view, accepts) \
  (((seen_views >> (view)) & 1) && (accepts) == HOLDS(view))
#define SAW_IT_BEFORE(accepts) \
  ((seen_views & 1) && ((accepts) -> MY(left_since) : MY(came_since)))
#define IS_RECENT(accepts) \
  (by_editor && ((accepts) -> left_at : came_at) + TTL > moment)

inline judge(accepts) {
  wrong_for_who_looks =
      (is_root && !SAW_IT_IN(HOME, accepts) && !SAW_IT_IN(AWAY, accepts) &&
       !SAW_IT_IN(COVERED, accepts) && !SAW_IT_BEFORE(accepts));
  assert(!wrong_for_who_looks);
  wrong_for_a_member =
      (!is_root && !SAW_IT_IN(HOME, accepts) && !SAW_IT_BEFORE(accepts) &&
       !IS_RECENT(accepts));
  assert(!wrong_for_a_member)
}

/* --- steps of a verifier: its view, or what is attached, may be another */

inline turn_or_not() {
  if
  :: true
#if TURNS
  :: is_root && turns < TURNS ->
     turns++;
     if
     :: view != HOME -> view = HOME
     :: view != AWAY -> view = AWAY
     :: view != COVERED -> view = COVERED
     fi;
     seen_views = seen_views | (1 << view)
#endif
#if REATTACHES
  :: is_root && reattaches < REATTACHES && attached != DIRECTORY_IN(view) ->
     reattaches++;
     attached = DIRECTORY_IN(view)
#endif
  fi
}

#define BEGIN_STEP atomic { turn_or_not()
#define NEXT_STEP } BEGIN_STEP

/*
 * Rule 6.  A directory descriptor stays in the view in which it was opened.
 * The file is opened from it, and RESOLVE_NO_XDEV refuses one that is mounted
 * over.
 */
#define IS_OF(dir, a_segment) (DIRECTORY_IN(dir) == (a_segment))
#ifdef MUTANT_MOUNTED_OVER_IS_OPENED
#define MAY_OPEN(dir) true
#else
#define MAY_OPEN(dir) ((dir) != COVERED)
#endif

/* Rule 5: what is attached is still what the generation was loaded from. */
#ifdef MUTANT_INSTANCE_NOT_COMPARED
#define IS_SAME_INSTANCE true
#else
#define IS_SAME_INSTANCE (attached == source)
#endif

proctype Verifier(byte me; bit is_root) {
  byte view, seen_views, attached, source, dir, seen, moment, identity;
  byte claimed, may_insert, stored;
  bit is_ours;

  atomic {
    FORGET_MINE;
    if
    :: true
    :: is_root -> view = AWAY
    :: is_root -> view = COVERED
    fi;
    if
    :: true
    :: is_root -> attached = AWAY
    fi;
    seen_views = 1 << view;
    moment = now
  }
  BEGIN_STEP;
    source = attached;
    seen = segment[source].generation;
    if
    :: IN_FORCE(seen) && seen != NEVER
    :: else -> goto stale
    fi
  }
  BEGIN_STEP;
    if
    :: segment[source].stamp_generation == seen ->
       identity = segment[source].stamp_identity
    :: else -> goto stale
    fi;
    if
#ifdef MUTANT_HIT_WITHOUT_A_LOOK
    :: is_root -> goto in_force
#else
    :: is_root
#endif
    :: !is_root && moment - segment[source].stamp_time < TTL &&
       moment >= segment[source].stamp_time -> goto in_force
    :: else -> goto over /* It asks the helper, which is root. */
    fi
  }
  /* Root looks at what it sees itself, by path. */
  BEGIN_STEP;
    if
    :: path[view] == identity
    :: else -> goto stale
    fi;
    /* A stamp of a time before may be renewed, or an expired one is. */
    if
    :: moment > segment[source].stamp_time
    :: moment - segment[source].stamp_time < TTL -> goto in_force
    fi
  }
  BEGIN_STEP;
    dir = view
#ifndef MUTANT_NO_RULE_6_AT_RENEWAL
    ;
    if
    :: IS_OF(dir, source)
    :: else -> goto in_force
    fi
#endif
  }
  BEGIN_STEP;
#ifdef MUTANT_RENEWED_BY_PATH
    if
    :: path[view] == identity
    :: else -> goto stale
    fi
#else
    if
    :: MAY_OPEN(dir) && path[dir] == identity
    :: !MAY_OPEN(dir) -> goto in_force
    :: else -> goto stale
    fi
#endif
  }
  BEGIN_STEP;
    if
    :: IS_SAME_INSTANCE && segment[attached].generation == seen
    :: else -> goto in_force
    fi
  }
  BEGIN_STEP;
    if
    :: IS_SAME_INSTANCE ->
       segment[attached].stamp_generation = seen;
       segment[attached].stamp_time = moment;
       segment[attached].stamp_identity = identity
    :: else
    fi
  }
in_force:
  BEGIN_STEP;
    dir = 0;
    if
    :: segment[source].slot_generation == seen ->
       stored = segment[source].slot_stored
    :: else -> goto alone
    fi
  }
  BEGIN_STEP;
    if
    :: segment[source].generation == seen
    :: else -> goto alone
    fi;
    judge(stored == 1);
    goto over
  }

  /* Rule 6 before the claim; the trial open is part of it. */
stale:
  atomic {
    identity = 0;
    dir = 0;
    source = attached;
    if
    :: !is_root -> goto over
    :: is_root
    fi
  }
  BEGIN_STEP;
    dir = view;
#ifdef MUTANT_VIEW_JUDGED_BEFORE_THE_OPEN
    if
    :: IS_OF(dir, source)
    :: else -> goto alone
    fi
    NEXT_STEP;
    dir = view
#elif !defined(MUTANT_NO_RULE_6_AT_CLAIM)
    if
    :: IS_OF(dir, source) && MAY_OPEN(dir)
    :: else -> goto alone
    fi
#endif
  }
  BEGIN_STEP; seen = segment[source].generation }
  BEGIN_STEP;
    if
    :: segment[source].generation == seen && !IS_A_WRITERS(seen) ->
       claimed = NEXT_REREADERS(seen);
       segment[source].generation = claimed
    :: else -> goto alone
    fi
  }
  /* Rule 4: the clock, then the open from the same descriptor. */
  BEGIN_STEP; moment = now }
  BEGIN_STEP;
#ifdef MUTANT_OPENED_BY_PATH
    identity = path[view];
#else
    identity = path[dir];
#endif
    stored = content[identity]
  }
  BEGIN_STEP;
    if
    :: IS_SAME_INSTANCE ->
       segment[attached].slot_generation = ENDED(claimed);
       segment[attached].slot_stored = stored
    :: else
    fi
  }
  BEGIN_STEP;
    is_ours = (IS_SAME_INSTANCE && segment[attached].generation == claimed)
  }
  BEGIN_STEP;
    if
    :: IS_SAME_INSTANCE && is_ours ->
       segment[attached].stamp_generation = ENDED(claimed);
       segment[attached].stamp_time = moment;
       segment[attached].stamp_identity = identity
    :: else
    fi
  }
  BEGIN_STEP;
    if
    :: IS_SAME_INSTANCE && segment[attached].generation == claimed ->
       segment[attached].generation = ENDED(claimed)
    :: else
    fi;
    goto over
  }

  /* Rules 5 and 6: either of them keeps another view's file out. */
alone:
  BEGIN_STEP;
    identity = 0;
    dir = 0;
    stored = 0;
    source = attached;
    if
    :: is_root && IN_FORCE(segment[source].generation) ->
       may_insert = segment[source].generation
    :: else -> goto over
    fi
  }
  BEGIN_STEP;
    if
    :: segment[source].stamp_generation == may_insert ->
       identity = segment[source].stamp_identity
    :: else -> goto over
    fi
  }
  BEGIN_STEP;
    dir = view
#ifndef MUTANT_NO_RULE_6_AT_INSERT
    ;
    if
    :: IS_OF(dir, source) && MAY_OPEN(dir)
    :: else -> goto over
    fi
#endif
  }
  BEGIN_STEP;
#ifndef MUTANT_INSERT_OF_ANOTHER_FILE
    if
    :: path[dir] == identity
    :: else -> goto over
    fi;
#endif
    stored = content[path[dir]]
  }
  BEGIN_STEP;
    if
    :: IS_SAME_INSTANCE ->
       segment[attached].slot_generation = may_insert;
       segment[attached].slot_stored = stored
    :: else
    fi
  }
over:
  atomic {
    FORGET_MINE;
    view = 0;
    seen_views = 0;
    attached = 0;
    source = 0;
    dir = 0;
    seen = 0;
    moment = 0;
    identity = 0;
    claimed = 0;
    may_insert = 0;
    stored = 0;
    is_ours = 0
  }
}

/* --- who changes the file at home */

inline rename(new, is_editor) {
  if
  :: HOLDS(HOME) && (new) != 1 -> left_at = now; left_since = 255
  :: !HOLDS(HOME) && (new) == 1 -> came_at = now; came_since = 255
  :: else
  fi;
  by_editor = is_editor;
  content[inodes] = new;
  path[HOME] = inodes;
  inodes++
}

#if WRITERS
proctype Writer() {
  byte claimed, new;

  atomic {
    claimed = NEXT_WRITERS(segment[HOME].generation);
    segment[HOME].generation = claimed
  }
  atomic {
    if
    :: new = 1
    :: new = 2
    fi;
    rename(new, 0);
    new = 0
  }
  atomic {
    if
    :: segment[HOME].generation == claimed ->
       segment[HOME].generation = ENDED(claimed)
    :: else
    fi;
    claimed = 0
  }
}
#endif

#if EDITS
proctype Editor() {
  byte edits, new;

  do
  :: edits < EDITS ->
     atomic {
       edits++;
       if
       :: new = 1
       :: new = 2
       fi;
       rename(new, 1);
       new = 0
     }
  :: else -> break
  od;
  edits = 0
}
#endif

#if TICKS
proctype Clock() {
  do
  :: atomic { now <= TICKS -> now++ }
  :: now > TICKS -> break
  od
}
#endif

init {
  byte i;

  atomic {
    path[HOME] = 0;
    path[AWAY] = 1;
    path[COVERED] = 2;
#ifdef SAME_INODE
    /* A hard link in the other directory, and a mount of the file itself. */
    path[AWAY] = 0;
    path[COVERED] = 0;
#endif
    /* One of the files holds secret 1, and the other does not. */
    if
    :: content[0] = 1; content[1] = 2; content[2] = 2
    :: content[0] = 2; content[1] = 1; content[2] = 1
    fi;
    for (i : 0 .. 1) {
      if
      :: segment[i].generation = BORN
      :: segment[i].generation = 4;
         segment[i].stamp_generation = 4;
         segment[i].stamp_time = now;
         segment[i].stamp_identity = path[i];
         if
         :: segment[i].slot_generation = 4;
            segment[i].slot_stored = content[path[i]]
         :: true
         fi
      fi
    }
    for (i : 1 .. VERIFIERS) {
      run Verifier(i, 1)
    }
#if MEMBERS
    for (i : 1 .. MEMBERS) {
      run Verifier(VERIFIERS + i, 0)
    }
#endif
#if WRITERS
    for (i : 1 .. WRITERS) {
      run Writer()
    }
#endif
#if EDITS
    run Editor();
#endif
#if TICKS
    run Clock();
#endif
    i = 0
  }
}
