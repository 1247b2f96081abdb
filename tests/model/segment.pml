// SPDX-License-Identifier: BSD-3-Clause
/*
 * Segments that come and go: verifiers that stay attached, makers, writers,
 * flush, ipcrm(1), and somebody who takes the key for a segment of his own.
 *
 * Rule 3 of include/pbstoken/cache/generation.h, and what rule 5 says of segments.
 * What happens inside one segment is cache.pml's matter: here a slot is what
 * it binds and the generation that it does so for, and a stamp is the
 * generation that it is for.  No time passes, so no verifier ever asks whether
 * its segment is an orphan: only a writer can tell it.
 *
 * Each atomic block is one access to what processes share; the holder of the
 * lock may be killed before each.  A name with () is the C++ function that the
 * steps below it are taken from.
 */
#ifndef WRITERS
#define WRITERS 1 /* each sets one new stored hash with the helper */
#endif
#ifndef VERIFIERS
#define VERIFIERS 1 /* root processes ... */
#endif
#ifndef ROUNDS
#define ROUNDS 2 /* ... of so many verifications each */
#endif
#ifndef MAKERS
#define MAKERS 1 /* root processes that find no segment, or none in force */
#endif
#ifndef FLUSHES
#define FLUSHES 0
#endif
#ifndef REMOVALS
#define REMOVALS 1 /* by ipcrm(1) */
#endif
#ifndef SQUATS
#define SQUATS 0 /* of a local user who is faster than the next maker */
#endif
#ifndef KILLS
#define KILLS 1
#endif

#define NOBODY 255
#define RETIRED 255
#define BORN 1
#define IN_FORCE(g) ((g) % 2 == 0)

/* Ids in the order in which they are made; 0: none. */
#define IDS (2 + WRITERS + MAKERS + FLUSHES + SQUATS)

typedef Segment {
  bit removed;     /* no key names it; it lives while it has users */
  bit is_foreign;  /* not root's */
  bit is_finished; /* its maker has stored the magic */
  byte users;
  byte generation;
  byte stamp;
  byte bound_under; /* the slot's generation; 0: a slot that is empty */
  byte bound_to     /* the stored hash that it binds the token to */
};
Segment segment[IDS];
byte key; /* the id that it names */
byte ids = 1;

byte lock = NOBODY;
byte on_disk = 1; /* the stored hash in the file */
byte kills;

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

/* --- attachments */

inline find() {
  atomic { or_die(); named = key }
}

inline let_go(id) {
  if
  :: id != 0 -> segment[id].users--; id = 0
  :: else
  fi
}

/* What is attached is whole, and not retired. */
#define IS_USABLE \
  (segment[attached].is_finished && segment[attached].generation != RETIRED)

/*
 * ShmAttachment::attach(): attaches, then asks, then trusts.  `attached` stays
 * 0 if there is none, or none that anybody uses.
 */
inline attach_named() {
  atomic {
    or_die();
    if
    :: named != 0 && !(segment[named].removed && segment[named].users == 0) ->
       attached = named;
       segment[attached].users++
    :: else
    fi
  }
  atomic {
    or_die();
    if
    :: !IS_USABLE || segment[attached].removed ||
       segment[attached].is_foreign -> let_go(attached)
    :: else
    fi
  }
}

/* Cache::segment(): kept until it says that it is retired. */
inline keep_or_attach() {
  atomic {
    if
    :: !IS_USABLE -> let_go(attached)
    :: else
    fi
  }
  if
  :: attached == 0 -> find(); attach_named(); named = 0
  :: else
  fi
}

/* --- claims, and what they are for; rule 1 is cache.pml's matter */

inline claim_under_lock() {
  atomic {
    or_die();
    if
    :: segment[attached].generation == RETIRED -> claimed = 0
    :: else ->
       claimed = segment[attached].generation +
                 (IN_FORCE(segment[attached].generation) -> 1 : 2);
       segment[attached].generation = claimed
    fi
  }
}

inline end_claim() {
  atomic {
    or_die();
    if
    :: segment[attached].generation == claimed ->
       segment[attached].generation = claimed + 1
    :: else
    fi;
    claimed = 0
  }
}

/* reread(): reads, carries over or not, stamps, ends. */
inline reread() {
  atomic { or_die(); stored = on_disk }
  atomic {
    or_die();
    segment[attached].bound_to = stored;
    segment[attached].bound_under = claimed + 1
  }
  atomic {
    or_die();
    if
    :: segment[attached].generation == claimed ->
       segment[attached].stamp = claimed + 1
    :: else
    fi;
    stored = 0
  }
  end_claim()
}

/* --- making and retiring: rule 3, all with the lock */

/* retire_orphans(): the kernel's table, place by place. */
inline retire_orphans() {
  atomic { place = 1 }
  do
  :: atomic {
       place < ids ->
       or_die();
       if
       :: segment[place].removed && segment[place].users != 0 &&
          !segment[place].is_foreign && segment[place].is_finished ->
          segment[place].generation = RETIRED
       :: else
       fi;
       place++
     }
  :: else -> break
  od;
  atomic { place = 0 }
}

/* replace_segment(): retire_segment(), shmget with IPC_EXCL, fill(). */
inline replace() {
  find();
  if
  :: named != 0 ->
     /* mark_retired(), then IPC_RMID. */
     attach_named();
     atomic {
       or_die();
       if
       :: attached != 0 -> segment[attached].generation = RETIRED
       :: else
       fi;
       let_go(attached)
     }
     atomic {
       or_die();
       segment[named].removed = 1;
       if
       :: key == named -> key = 0
       :: else
       fi
     }
  :: else
  fi;
#ifndef MUTANT_MAKER_LEAVES_ORPHANS
  retire_orphans();
#endif
  atomic {
    or_die();
    if
    :: key == 0 -> named = ids; key = ids; ids++
    :: else -> named = 0
    fi
  }
  atomic {
    or_die();
    if
    :: named != 0 ->
       /* format(): born odd, the magic last. */
       segment[named].generation = BORN;
       segment[named].is_finished = 1
    :: else
    fi;
    named = 0
  }
}

/* Cache::renew() */
inline renew() {
  find();
  attach_named();
  if
  :: attached == 0 -> replace(); find(); attach_named()
  :: else
  fi;
  if
  :: attached != 0 ->
     claim_under_lock();
     if
     :: claimed != 0 -> reread()
     :: else
     fi
  :: else
  fi;
  atomic { let_go(attached); named = 0 }
}

/* --- a process that serves for a long time */

#define LOCALS byte named, attached, place, claimed, stored
#define FORGET_ALL \
  named = 0; place = 0; claimed = 0; stored = 0; let_go(attached)

proctype Verifier(byte me) {
  byte rounds, seen, source;
  LOCALS;

again:
  /* look_up() */
  keep_or_attach();
  atomic {
    seen = segment[attached].generation;
    if
    :: attached == 0 || !IN_FORCE(seen) -> goto next
    :: else
    fi
  }
  atomic {
    if
    :: segment[attached].stamp != seen -> goto stale
    :: else
    fi
  }
  atomic {
    if
    :: segment[attached].bound_under != seen -> goto alone
    :: else -> stored = segment[attached].bound_to
    fi
  }
  /* The second load.  I1, I2: of the secret of this stored hash. */
  atomic {
    assert(segment[attached].generation != seen || on_disk == stored);
    goto next
  }

stale:
  /* read_for_all() without the lock, and perhaps in an orphan. */
  atomic {
    if
    :: segment[attached].generation == seen ->
       claimed = seen + 1;
       segment[attached].generation = claimed;
       seen = 0
    :: else -> goto next
    fi
  }
  reread();
  goto next;

alone:
  /* read_alone(), then remember().  Rule 5: in the same segment. */
  atomic {
    source = attached;
    seen = segment[attached].generation;
    if
    :: !IN_FORCE(seen) -> goto next
    :: else
    fi
  }
  atomic { stored = on_disk }
  keep_or_attach();
  atomic {
    if
#ifdef MUTANT_INSERT_INTO_ANOTHER_SEGMENT
    :: attached != 0 ->
#else
    :: attached != 0 && attached == source ->
#endif
       segment[attached].bound_to = stored;
       segment[attached].bound_under = seen
    :: else
    fi
  }

next:
  atomic {
    seen = 0;
    stored = 0;
    source = 0;
    rounds++;
    if
    :: rounds < ROUNDS -> goto again
    :: else -> rounds = 0
    fi
  }
dead:
  atomic { FORGET_ALL }
}

/* --- read_for_all() where there is none, or none in force: rule 2 */

proctype Maker(byte me) {
  LOCALS;

#ifndef MUTANT_REPLACED_WITHOUT_LOCK
  atomic {
    if
    :: lock == NOBODY -> lock = me
    :: else -> goto dead
    fi
  }
#endif
  renew();
  unlock();
dead:
  atomic { FORGET_ALL }
}

/* --- Cache::flush(): a new one, whatever is there */

#if FLUSHES
proctype Flusher(byte me) {
  LOCALS;

  take_lock();
  replace();
  unlock();
dead:
  atomic { FORGET_ALL }
}
#endif

/* --- write_token(), with the stored hash `new` */

proctype Writer(byte me; byte new) {
  LOCALS;

  /* claim_for_write(): the segment is looked up after the lock. */
#ifdef MUTANT_LOOKED_UP_BEFORE_LOCK
  find();
  take_lock();
#else
  take_lock();
  find();
#endif
  attach_named();
  if
  :: attached != 0 -> claim_under_lock()
  :: else
  fi;
#ifndef MUTANT_WRITER_LEAVES_ORPHANS
  if
  :: claimed == 0 -> retire_orphans()
  :: else
  fi;
#endif
  atomic { or_die(); on_disk = new }
  if
  :: claimed != 0 -> end_claim()
  :: else
  fi;
  atomic { let_go(attached); named = 0 }
  renew();
  unlock();
dead:
  atomic { FORGET_ALL }
}

/* --- the world */

proctype World() {
  byte removals, squats;

  do
  :: atomic {
       removals < REMOVALS && key != 0 && !segment[key].is_foreign ->
       removals++;
       segment[key].removed = 1;
       key = 0
     }
  :: atomic {
       squats < SQUATS && key == 0 ->
       squats++;
       segment[ids].is_foreign = 1;
       key = ids;
       ids++
     }
  :: true -> break
  od;
  atomic { removals = 0; squats = 0 }
}

init {
  byte i;

  atomic {
    /*
     * None; or one that is stamped and in use, its slot filled or not.  Its
     * generation is that of the first stamp of a new one, too.
     */
    if
    :: true
    :: key = 1
    :: key = 1; segment[1].bound_under = 4; segment[1].bound_to = 1
    fi;
    if
    :: key == 1 ->
       ids = 2;
       segment[1].is_finished = 1;
       segment[1].generation = 4;
       segment[1].stamp = 4
    :: else
    fi;
    for (i : 1 .. VERIFIERS) {
      run Verifier(i)
    }
#if MAKERS
    for (i : 1 .. MAKERS) {
      run Maker(VERIFIERS + i)
    }
#endif
    for (i : 1 .. WRITERS) {
      run Writer(VERIFIERS + MAKERS + i, 1 + i)
    }
#if FLUSHES
    for (i : 1 .. FLUSHES) {
      run Flusher(VERIFIERS + MAKERS + WRITERS + i)
    }
#endif
    run World();
    i = 0
  }
}
