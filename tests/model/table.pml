// SPDX-License-Identifier: BSD-3-Clause
/*
 * The kernel's table: segments that come and go, and who finds which.
 *
 * This models the segments of one kind and view, the key, and the table that
 * SHM_STAT walks.  Root makes a segment, re-reads for all and inserts.  Members
 * stay attached.  Writers walk.  Flush makes a new segment.  A table that is too
 * small is replaced by a larger one that takes its slots.  An administrator
 * removes segments with ipcrm(1).  A local user takes the key and lets it go.
 * With NAMESPACES=2 root and members may move to another IPC namespace, where
 * ids repeat; writers are there.  The holder of the lock may die at any step.
 *
 * What is left out, and why that is sound:
 * - What happens inside a segment: claims.pml and stamps.pml.  Here a slot is
 *   the generation that it is bound for and the stored hash, and the stamp is
 *   its generation.  Root's own hits are not judged, since it looks.
 * - Time.  Members never learn by their clock that a segment was removed.
 * - Views and kinds: a segment of another one is like a stranger's to a walk.
 * - Segments of another lock, mode or layout: each is like a removed one, which
 *   nobody finds any more and members still use.  So removal stands for them.
 * - The end of a removed segment when its last user lets go: a walk that finds
 *   it there none the less harms nobody.
 */
#include "word.inc"

#ifndef WRITERS
#define WRITERS 1 /* Each writes once. */
#endif
#ifndef ROOTS
#define ROOTS 1 /* Processes of root ... */
#endif
#ifndef ROUNDS
#define ROUNDS 2 /* ... of so many verifications each. */
#endif
#ifndef MEMBERS
#define MEMBERS 1
#endif
#ifndef MEMBER_ROUNDS
#define MEMBER_ROUNDS 1
#endif
#ifndef FLUSHES
#define FLUSHES 0
#endif
#ifndef GROWTHS
#define GROWTHS 0
#endif
#ifndef NEW_HASH
#define NEW_HASH (1 + i) /* Of the i-th writer; 0: it deletes the token. */
#endif
#ifndef REMOVALS
#define REMOVALS 0 /* By ipcrm(1). */
#endif
#ifndef SQUATS
#define SQUATS 0 /* Of the key by a local user. */
#endif
#ifndef NAMESPACES
#define NAMESPACES 1
#endif
#ifndef KILLS
#define KILLS 0
#endif

/*
 * Place n of namespace m is segment PLACES * m + n.  0 is no segment.  The
 * index of a segment is its instance number, and its place is its id.
 */
#define PLACES (3 + FLUSHES + 2 * GROWTHS + SQUATS + REMOVALS)
#define ID_OF(a_segment) ((a_segment) % PLACES)
#define PLACE(the_namespace, id) (PLACES * (the_namespace) + (id))
#define WRITERS_NAMESPACE (NAMESPACES - 1)

typedef Segment {
  bit is_removed;
  bit is_foreign;  /* Not root's. */
  bit is_finished; /* Its maker has stored the magic. */
  byte generation;
  byte stamp;
  byte bound_under;
  byte bound_to
};
Segment segment[PLACES * NAMESPACES];

typedef Namespace {
  byte key;    /* The segment that the key names. */
  byte second; /* The same of a further key, for a mutant. */
  byte ids     /* Places in use. */
};
Namespace ipc[NAMESPACES];

byte lock = NOBODY;
byte on_disk = 1; /* The stored hash in the file, and the file's identity; 0:
                     the token is not there. */
bit untold;       /* A rename that upstream's word was not raised after. */
byte kills;

bit old_secret_accepted;
bit upstream_not_told;

inline or_die() {
  if
  :: true
#if KILLS
  :: kills < KILLS && lock == me -> kills++; lock = NOBODY; goto dead
#endif
  fi
}

inline take_lock() {
  atomic { lock == NOBODY -> lock = me }
}

inline unlock() {
  atomic {
    or_die();
    if
    :: lock == me -> lock = NOBODY
    :: else
    fi
  }
}

/* --- finding: the key is only the short way */

#define IS_USABLE(s) \
  ((s) != 0 && segment[s].is_finished && !segment[s].is_foreign && \
   !segment[s].is_removed && segment[s].generation != RETIRED)
#define IS_FOREIGN(s) ((s) != 0 && segment[s].is_foreign)

#define LOCALS byte space, attached, place, claimed, stored; bit is_ours
#define FORGET_ALL \
  attached = 0; place = 0; claimed = 0; stored = 0; space = 0; is_ours = 0

/*
 * Attaches, asks IPC_STAT and trusts, which is one step: a segment that is
 * removed right after it is like one that is removed in between.
 */
inline find() {
  atomic {
    or_die();
    attached = 0;
#ifdef MUTANT_FIRST_FREE_KEY
    place = (IS_FOREIGN(ipc[space].key) -> ipc[space].second :
             ipc[space].key);
    if
    :: IS_USABLE(place) -> attached = place
    :: else
    fi;
#else
    if
    :: IS_USABLE(ipc[space].key) -> attached = ipc[space].key
    :: else ->
       place = 1;
       do
       :: place < ipc[space].ids && attached == 0 ->
          if
          :: IS_USABLE(PLACE(space, place)) -> attached = PLACE(space, place)
          :: else
          fi;
          place++
       :: else -> break
       od
    fi;
#endif
    place = 0
  }
}

/*
 * Once per handle: is what is attached still there?  An attachment is known
 * by id, creation time and instance.
 */
#ifdef MUTANT_KNOWN_BY_ITS_ID
#define IS_STILL_THERE \
  (ID_OF(attached) < ipc[space].ids && \
   !segment[PLACE(space, ID_OF(attached))].is_removed)
#else
#define IS_STILL_THERE \
  (PLACE(space, ID_OF(attached)) == attached && !segment[attached].is_removed)
#endif
inline keep_or_find() {
  atomic {
    if
    :: attached != 0 &&
       (!IS_STILL_THERE || segment[attached].generation == RETIRED) ->
       attached = 0
    :: else
    fi
  }
  if
  :: attached == 0 -> find()
  :: else
  fi
}

/*
 * Rule 5: a write attaches by id, writable and only for itself, and compares
 * the instance there.
 */
#define TARGET PLACE(space, ID_OF(attached))
#ifdef MUTANT_INSTANCE_NOT_COMPARED
#define IS_SAME_INSTANCE (ID_OF(attached) < ipc[space].ids)
#else
#define IS_SAME_INSTANCE (TARGET == attached)
#endif

/* --- making: rule 3, with the lock */

inline make() {
  atomic {
    or_die();
    place = PLACE(space, ipc[space].ids);
    ipc[space].ids++;
    if
    :: ipc[space].key == 0 -> ipc[space].key = place
#ifdef MUTANT_FIRST_FREE_KEY
    :: ipc[space].key != 0 && ipc[space].second == 0 ->
       ipc[space].second = place
#endif
    :: else /* IPC_PRIVATE */
    fi
  }
  atomic {
    or_die();
    segment[place].generation = BORN;
    segment[place].is_finished = 1
  }
}

/* What a re-reader does after its claim, or the maker under number BORN. */
inline read_for_all() {
  atomic { or_die(); stored = on_disk }
  /* Slots of a token that the file does not have are not touched. */
  atomic {
    or_die();
    if
    :: IS_SAME_INSTANCE && stored != 0 ->
       segment[TARGET].bound_under = ENDED(claimed);
       segment[TARGET].bound_to = stored
    :: else
    fi
  }
  atomic {
    or_die();
    is_ours = (IS_SAME_INSTANCE && segment[TARGET].generation == claimed)
  }
  atomic {
    or_die();
    if
    :: IS_SAME_INSTANCE && is_ours ->
       segment[TARGET].stamp = ENDED(claimed)
    :: else
    fi;
    is_ours = 0
  }
  atomic {
    or_die();
    if
    :: IS_SAME_INSTANCE && segment[TARGET].generation == claimed ->
       segment[TARGET].generation = ENDED(claimed)
    :: else
    fi;
    claimed = 0;
    stored = 0
  }
}

/* --- who verifies */

proctype Root(byte me) {
  byte rounds, seen;
  LOCALS;

again:
#if NAMESPACES > 1
  if
  :: space = WRITERS_NAMESPACE
  :: true
  fi;
#endif
  keep_or_find();
  if
  :: attached != 0 -> goto look
  :: else
  fi;
  /* Nobody waits for the lock.  The holder looks again before it makes. */
#ifndef MUTANT_MADE_WITHOUT_THE_LOCK
  atomic {
    if
    :: lock == NOBODY -> lock = me
    :: else -> goto next
    fi
  }
#endif
  find();
  if
  :: attached == 0 && ipc[space].ids < PLACES - FLUSHES - 2 * GROWTHS ->
     make();
     atomic {
       or_die();
       attached = place;
       place = 0;
       claimed = BORN
     }
     read_for_all()
  :: else
  fi;
  unlock();
  goto next;

look:
  atomic {
    seen = segment[attached].generation;
    if
    :: seen == RETIRED -> goto next
    :: IS_A_WRITERS(seen) -> goto takeover
    :: IS_A_REREADERS(seen) ||
       (IN_FORCE(seen) && segment[attached].stamp != seen)
    :: else -> goto alone
    fi
  }
  atomic {
    if
    :: IS_SAME_INSTANCE && segment[TARGET].generation == seen ->
       claimed = NEXT_REREADERS(seen);
       segment[TARGET].generation = claimed
    :: else -> goto next
    fi
  }
  read_for_all();
  goto next;

  /* A writer's number: the lock, upstream's word, the claim. */
takeover:
  atomic {
    if
    :: lock == NOBODY -> lock = me
    :: else -> goto next
    fi
  }
  atomic {
    or_die();
    if
    :: IS_A_WRITERS(segment[attached].generation) -> untold = 0
    :: else
    fi
  }
  atomic {
    or_die();
    if
    :: IS_SAME_INSTANCE && segment[TARGET].generation == seen ->
       claimed = NEXT_REREADERS(seen);
       segment[TARGET].generation = claimed
    :: else -> claimed = 0
    fi
  }
  if
  :: claimed != 0 -> read_for_all()
  :: else
  fi;
  unlock();
  goto next;

  /* An insert, under the generation that was loaded before the file. */
alone:
  if
  :: IN_FORCE(seen) && segment[attached].stamp == seen
  :: else -> goto next
  fi;
  atomic { stored = on_disk }
#if NAMESPACES > 1
  if
  :: space = WRITERS_NAMESPACE
  :: true
  fi;
#endif
  atomic {
    if
    :: IS_SAME_INSTANCE && stored != 0 ->
       segment[TARGET].bound_under = seen;
       segment[TARGET].bound_to = stored
    :: else
    fi
  }

next:
  atomic {
    seen = 0;
    claimed = 0;
    stored = 0;
    place = 0;
    rounds++;
    if
    :: rounds < ROUNDS -> goto again
    :: else -> rounds = 0
    fi
  }
dead:
  atomic { FORGET_ALL; seen = 0; rounds = 0 }
}

/*
 * It asks whether its segment is still there, or not yet, by its own clock.  I1
 * speaks of those that have asked in the namespace of the writers.
 */
proctype Member(byte me) {
  byte rounds, seen;
  bit has_asked;
  LOCALS;

again:
#if NAMESPACES > 1
  if
  :: space = WRITERS_NAMESPACE
  :: true
  fi;
#endif
  if
  :: keep_or_find(); has_asked = (space == WRITERS_NAMESPACE)
  :: attached != 0
  fi;
  if
  :: attached == 0 -> goto next
  :: else
  fi;
  atomic {
    seen = segment[attached].generation;
    if
    :: IN_FORCE(seen) && seen != NEVER && segment[attached].stamp == seen
    :: else -> goto next
    fi
  }
  atomic {
    if
    :: segment[attached].bound_under == seen ->
       stored = segment[attached].bound_to
    :: else -> goto next
    fi
  }
  /* The second load. */
  atomic {
    old_secret_accepted =
        (has_asked && segment[attached].generation == seen &&
         stored != on_disk);
    assert(!old_secret_accepted)
  }
next:
  atomic {
    seen = 0;
    stored = 0;
    rounds++;
    if
    :: rounds < MEMBER_ROUNDS -> goto again
    :: else -> rounds = 0
    fi
  }
dead:
  atomic { FORGET_ALL; has_asked = 0 }
}

/* --- who writes */

/* A debt of the dead is paid first. */
inline pay() {
  atomic {
    or_die();
    if
    :: IS_A_WRITERS(segment[place].generation) -> untold = 0
    :: else
    fi
  }
}

inline retire() {
#ifndef MUTANT_RETIRED_WITHOUT_A_WORD
  pay();
#endif
  atomic {
    or_die();
    upstream_not_told = (IS_A_WRITERS(segment[place].generation) && untold);
    assert(!upstream_not_told);
    segment[place].generation = RETIRED;
    segment[place].is_removed = 1;
    if
    :: ipc[space].key == place -> ipc[space].key = 0
    :: else
    fi
  }
}

/* It claims the one in use and retires every other, removed ones too. */
inline walk_and_claim() {
#ifdef MUTANT_FIRST_FREE_KEY
  find();
  if
  :: attached != 0 ->
     atomic {
       claimed = NEXT_WRITERS(segment[attached].generation);
       segment[attached].generation = claimed
     }
  :: else
  fi;
#else
  place = PLACE(space, 1);
  do
  :: place < PLACE(space, ipc[space].ids) ->
     if
     :: IS_USABLE(place) && attached == 0 ->
        pay();
        atomic {
          or_die();
          attached = place;
          claimed = NEXT_WRITERS(segment[attached].generation);
          segment[attached].generation = claimed
        }
#ifdef MUTANT_WALK_SKIPS_REMOVED
     :: segment[place].is_removed && segment[place].generation != RETIRED
#endif
     :: else ->
        if
        :: !segment[place].is_foreign && segment[place].is_finished &&
           segment[place].generation != RETIRED -> retire()
        :: else
        fi
     fi;
     place++
  :: else -> break
  od;
#endif
  place = 0
}

proctype Writer(byte me; byte new) {
  LOCALS;

  space = WRITERS_NAMESPACE;
#ifdef MUTANT_WALKED_BEFORE_THE_LOCK
  walk_and_claim();
  take_lock();
#else
  take_lock();
  walk_and_claim();
#endif
  atomic { or_die(); on_disk = new; untold = 1 }
  atomic { or_die(); untold = 0 }
  atomic {
    or_die();
    if
    :: claimed != 0 && segment[attached].generation == claimed ->
       segment[attached].generation = ENDED(claimed)
    :: else
    fi
  }
  unlock();
dead:
  atomic { FORGET_ALL }
}

/* --- flush: the new segment is made before the old ones go */

#if FLUSHES
proctype Flusher(byte me) {
  byte made;
  LOCALS;

  take_lock();
  make();
  made = place;
  place = PLACE(space, 1);
  do
  :: place < made ->
     if
     :: !segment[place].is_foreign && segment[place].is_finished &&
        segment[place].generation != RETIRED -> retire()
     :: else
     fi;
     place++
  :: else -> break
  od;
  unlock();
dead:
  atomic { FORGET_ALL; made = 0 }
}
#endif

/* --- growth: a spare first, so that there is room for the larger one */

#if GROWTHS
/* What a larger segment is born with: above every number that a slot of the one
 * before it can be bound for. */
#ifdef MUTANT_GROWN_FROM_THE_START
#define BORN_AFTER(last) BORN
#else
#define BORN_AFTER(last) NEXT_REREADERS(last)
#endif

proctype Grower(byte me) {
  byte outgrown, last, spare;
  LOCALS;

  take_lock();
  find();
  if
  :: attached == 0 -> goto done
  :: else
  fi;
  atomic { outgrown = attached; attached = 0 }
  atomic {
    or_die();
    spare = PLACE(space, ipc[space].ids);
    ipc[space].ids++;
    segment[spare].generation = BORN;
    segment[spare].is_finished = 1
  }
  atomic { place = outgrown }
  pay();
  atomic {
    or_die();
    last = segment[outgrown].generation;
    upstream_not_told = (IS_A_WRITERS(segment[outgrown].generation) && untold);
    assert(!upstream_not_told);
    segment[outgrown].generation = RETIRED;
    segment[outgrown].is_removed = 1;
    if
    :: ipc[space].key == outgrown -> ipc[space].key = 0
    :: else
    fi
  }
  if
  :: last == RETIRED -> goto done /* Nobody knows its number: no slots. */
  :: else
  fi;
  atomic {
    or_die();
    place = PLACE(space, ipc[space].ids);
    ipc[space].ids++;
    if
    :: ipc[space].key == 0 -> ipc[space].key = place
    :: else
    fi
  }
  atomic {
    or_die();
    stored = segment[outgrown].bound_under;
    claimed = segment[outgrown].bound_to
  }
  atomic {
    or_die();
    segment[place].bound_under = stored;
    segment[place].bound_to = claimed;
    segment[place].generation = BORN_AFTER(last);
    segment[place].is_finished = 1;
    stored = 0;
    claimed = 0
  }
  atomic {
    or_die();
    segment[spare].generation = RETIRED;
    segment[spare].is_removed = 1;
    attached = place;
    place = 0;
    claimed = segment[attached].generation;
    if
    :: claimed != BORN_AFTER(last) -> claimed = 0 /* Taken over. */
    :: else
    fi
  }
  if
  :: claimed != 0 -> read_for_all()
  :: else
  fi;
done:
  unlock();
dead:
  atomic { FORGET_ALL; outgrown = 0; last = 0; spare = 0 }
}
#endif

/* --- the administrator, and a local user */

#if REMOVALS || SQUATS
proctype World() {
  byte removals, squats;

  do
#if REMOVALS
  :: atomic {
       removals < REMOVALS && ipc[0].key != 0 &&
       !segment[ipc[0].key].is_foreign ->
       removals++;
       segment[ipc[0].key].is_removed = 1;
       ipc[0].key = 0
     }
#endif
#if SQUATS
  :: atomic {
       squats < SQUATS && ipc[0].key == 0 ->
       squats++;
       segment[ipc[0].ids].is_foreign = 1;
       ipc[0].key = ipc[0].ids;
       ipc[0].ids++
     }
  :: atomic {
       IS_FOREIGN(ipc[0].key) ->
       segment[ipc[0].key].is_removed = 1;
       ipc[0].key = 0
     }
#endif
  :: true -> break
  od;
  atomic { removals = 0; squats = 0 }
}
#endif

init {
  byte i;

  atomic {
    /* In each namespace there is none, or one that is stamped and in use. */
    for (i : 0 .. NAMESPACES - 1) {
      ipc[i].ids = 1;
      if
      :: true
      :: ipc[i].ids = 2;
         ipc[i].key = PLACE(i, 1);
         segment[PLACE(i, 1)].is_finished = 1;
         segment[PLACE(i, 1)].generation = 4;
         segment[PLACE(i, 1)].stamp = 4;
         if
         :: segment[PLACE(i, 1)].bound_under = 4;
            segment[PLACE(i, 1)].bound_to = 1
         :: true
         fi
      fi
    }
    for (i : 1 .. ROOTS) {
      run Root(i)
    }
    for (i : 1 .. MEMBERS) {
      run Member(ROOTS + i)
    }
    for (i : 1 .. WRITERS) {
      run Writer(ROOTS + MEMBERS + i, NEW_HASH)
    }
#if GROWTHS
    run Grower(ROOTS + MEMBERS + WRITERS + 1);
#endif
#if FLUSHES
    run Flusher(ROOTS + MEMBERS + WRITERS + 1);
#endif
#if REMOVALS || SQUATS
    run World();
#endif
    i = 0
  }
}
