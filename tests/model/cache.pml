// SPDX-License-Identifier: BSD-3-Clause
/*
 * One segment and one token: verifiers, writers, an editor by hand, upstream's
 * daemon.
 *
 * 'Rule n' is the rule of that number in include/pbstoken/cache/generation.h; a name
 * with () is the C++ function that the steps below it are taken from.  I1, I2,
 * I3 and I6 are the invariants that README.md lists.
 *
 * Each atomic block is one access to what processes share, and the checker
 * tries every order of them.  So a process may be late, or stand still for
 * ever, before each.  A death differs from that for the holder of the lock
 * alone, since the kernel then gives the lock back: or_die().
 *
 * Secrets are small numbers, and the stored hash of secret n is n too: a
 * secret matches if both are the same.  A digest is modelled by what it
 * covers, so it fits exactly what it was made of.
 *
 * The bounds and the mutants are -Ds: the file `rows` names them, README.md
 * explains them.
 */
#ifndef WRITERS
#define WRITERS 0 /* each sets one new stored hash with the helper */
#endif
#ifndef VERIFIERS
#define VERIFIERS 1 /* root processes ... */
#endif
#ifndef ROUNDS
#define ROUNDS 1 /* ... of so many verifications each */
#endif
#ifndef READERS
#define READERS 0 /* not root, one verification each */
#endif
#ifndef SECRETS
#define SECRETS 1 /* 1: all present secret 1; 2: secret 1 or secret 2 */
#endif
#ifndef FIRST
#define FIRST 1 /* what the file holds at first */
#endif
#ifndef EDITS
#define EDITS 0 /* by hand */
#endif
#ifndef TICKS
#define TICKS 0 /* of the clock, in rows with edits */
#endif
#ifndef TTL
#define TTL 1 /* in ticks */
#endif
#ifndef DAEMONS
#define DAEMONS 0 /* upstream's, each of which sets one new stored hash */
#endif
#ifndef KILLS
#define KILLS 0 /* deaths with the lock held */
#endif
#ifndef STOPS
#define STOPS 0 /* of a process that keeps the lock and its claim */
#endif

#define INODES (1 + WRITERS + DAEMONS + EDITS)
#define NOBODY 255

/*
 * Two places at which an atomic block ends and another begins, in those rows
 * in which something can happen there.  LATER: clock, word, or what an inode
 * holds may change.  HALF: slots may tear, which rows with a clock or a word
 * leave to the others.
 */
#define NEXT_STEP } atomic { or_die()
#if EDITS || DAEMONS
#define LATER NEXT_STEP
#define HALF skip
#else
#define LATER skip
#define HALF NEXT_STEP
#endif

/* --- the segment */

#define BORN 1
#define NEVER_IN_FORCE 0
#define IN_FORCE(g) ((g) % 2 == 0)
byte generation;

/*
 * One slot for everybody, the hardest case: each pushes out the other.  The
 * fact is (stored hash, secret), the verdict follows from the two.
 */
typedef Slot {
  byte generation;
  byte fact;
  short check
};
Slot slot;
#define FACT(stored, secret) ((stored) * 4 + (secret))
#define STORED_IN(fact) ((fact) / 4)
#define SECRET_IN(fact) ((fact) % 4)
#define CHECK_OF(generation, fact) ((generation) * 16 + (fact))
#ifdef MUTANT_GENERATION_WORD_PER_SLOT
#define IS_WHOLE(s) true
#else
#define IS_WHOLE(s) (s.check == CHECK_OF(s.generation, s.fact))
#endif

/*
 * Stored and loaded in one step each.  A torn one fits no digest: root may
 * find none at any time.
 */
typedef Stamp {
  byte generation; /* that it is for; 0: there is none yet */
  byte time;       /* when the file was found unchanged ... */
  byte identity;   /* ... and as what ... */
  bit racy;        /* ... and that it may change and look the same */
  byte version     /* upstream's word */
};
Stamp stamp;
#ifdef MUTANT_STAMP_FOR_ANY_GENERATION
#define STAMP_IS_FOR(g) ((g) != 0 && stamp.generation != 0)
#else
#define STAMP_IS_FOR(g) ((g) != 0 && stamp.generation == (g))
#endif

/* --- the host */

byte lock = NOBODY; /* the store's lock file: who holds it */
byte now = 1;       /* the clock; its ticks are those of ctime, too */
byte word;          /* upstream's, which only grows */

/*
 * token.shadow: the inode that the path leads to, what each holds, and its
 * ctime.  A descriptor stays with its inode.
 */
byte path;
byte content[INODES];
byte changed[INODES];
byte inodes = 1;
#define ON_DISK content[path]
#define IDENTITY(inode) ((inode) * 8 + changed[inode])
#define CTIME_IN(identity) ((identity) % 8)

bit editing; /* between the two halves of an edit, which lie in one tick */

/* --- what the invariants speak of; no process looks at it */

byte left_at;     /* when the file last ceased to hold secret 1 ... */
bit left_by_else; /* ... by no writer, and no writer has replaced it since */
byte departures;  /* how often it has ceased to, where the TTL is 0 */
byte revoked;     /* bit n: a write that took secret n away has returned */
bit untold;       /* a writer has renamed, upstream's word was not raised */
byte kills;
byte stops;

#if TTL
#define RECENTLY_LEFT (left_at + TTL > moment)
#else
#define RECENTLY_LEFT (departures != departures_before)
#endif

/*
 * Of a hit, at the reader's last load.  I2: what it accepts is what the file
 * holds then, and what it refuses the file does not hold.  I3: where somebody
 * edits, what it accepts may have been edited away less than a TTL before the
 * reader's clock, or, with a TTL of 0, since the reader began.  Where a daemon
 * writes, I1 alone: from when its word has told of it.
 */
inline judge_hit(accepts) {
#if EDITS
  assert(!(accepts) || ON_DISK == secret ||
         (left_by_else && RECENTLY_LEFT));
#elif DAEMONS
  assert(!(accepts) || ON_DISK == secret || left_by_else);
#else
  assert((accepts) == (ON_DISK == secret));
#endif
  judge(accepts)
}

/* I1: who starts after a write has returned refuses the old secret. */
inline judge(accepts) {
  assert(EDITS || !(accepts) || !was_revoked)
}

/* --- deaths and stops, at the beginning of any step; I6: the others go on */

inline or_die() {
  if
  :: true
#if KILLS
  :: kills < KILLS && lock == me -> kills++; lock = NOBODY; goto dead
#endif
#if STOPS
  :: stops < STOPS -> stops++; goto stopped
#endif
  fi
}

/* --- what whoever re-reads needs, verifier or writer */

#define LOCALS \
  byte claimed, may_insert, stored, carry, opened; \
  bit took_over, from_even; \
  Slot copy; \
  Stamp mine

#define FORGET_COPY copy.generation = 0; copy.fact = 0; copy.check = 0
#define FORGET_STAMP \
  mine.time = 0; mine.identity = 0; mine.racy = 0; mine.version = 0
#define FORGET_ALL \
  claimed = 0; may_insert = 0; stored = 0; carry = 0; opened = 0; \
  took_over = 0; from_even = 0; FORGET_COPY; FORGET_STAMP

/* --- the lock */

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

/* --- GenerationClaim: rules 1 and 2 */

#ifdef MUTANT_REREADER_FROM_G_TO_G_PLUS_2
#define IS_OURS (generation == claimed - from_even)
#else
#define IS_OURS (generation == claimed)
#endif

/* from_even(): claimed stays 0 if somebody was faster, or without memory. */
inline claim_from_even() {
  atomic {
    or_die();
    if
    :: IN_FORCE(generation) ->
       claimed = generation + 1;
#ifdef MUTANT_REREADER_FROM_G_TO_G_PLUS_2
       from_even = 1
#else
       generation = claimed
#endif
    :: true
    fi
  }
}

/* under_lock(): from even g to g+1, from another's odd o to o+2. */
inline claim_under_lock() {
  atomic {
    or_die();
    took_over = (DAEMONS && !IN_FORCE(generation) && generation != BORN);
#ifdef MUTANT_FOUND_ODD_IS_FINISHED
    claimed = generation + (IN_FORCE(generation) -> 1 : 0);
#else
    claimed = generation + (IN_FORCE(generation) -> 1 : 2);
#endif
    generation = claimed
  }
}

/* end(): by compare-and-swap.  Who fails leaves the word alone. */
inline end_claim() {
  atomic {
    or_die();
    if
    :: IS_OURS ->
       generation = claimed + 1;
       may_insert = claimed + 1;
       /* While bindings are in force, upstream has been told of all. */
       assert(!DAEMONS || !untold)
    :: else ->
#ifdef MUTANT_END_BY_PLAIN_STORE
       generation = claimed + 1;
       may_insert = claimed + 1
#else
       may_insert = NEVER_IN_FORCE
#endif
    fi;
    claimed = 0;
    from_even = 0;
    took_over = 0;
    FORGET_STAMP
  }
}

/* bump_version_word(): rule 4.  Without a daemon nobody looks at it. */
inline raise_word() {
#if DAEMONS
  atomic { or_die(); word++; untold = 0 }
#else
  skip
#endif
}

/* --- slots */

/*
 * In two halves, like every load: what two processes store at the same time
 * mixes.  Where the words are cut in two makes no difference, since the check
 * value fits the whole that it was made of and nothing else.
 */
inline store_slot(the_generation, the_fact) {
  atomic {
    or_die();
    slot.generation = the_generation;
    HALF;
    slot.fact = the_fact;
    slot.check = CHECK_OF(the_generation, the_fact)
  }
}

/* rebind(): carries the slot over if its stored hash is still the same. */
inline rebind(the_generation) {
  atomic {
    or_die();
    copy.generation = slot.generation;
    HALF;
    copy.fact = slot.fact;
    copy.check = slot.check;
    carry = (copy.fact != 0 && STORED_IN(copy.fact) == stored &&
             IS_WHOLE(copy) -> copy.fact : 0);
    FORGET_COPY
  }
  if
  :: carry != 0 -> store_slot(the_generation, carry); carry = 0
  :: else
  fi
}

/* remember(): rule 5, under the generation that came with the file. */
inline remember(the_fact) {
#ifdef MUTANT_INSERT_UNDER_PRESENT_GENERATION
  atomic {
    may_insert = (IN_FORCE(generation) -> generation : NEVER_IN_FORCE)
  }
#endif
  store_slot(may_insert, the_fact)
}

/* --- the stamp */

inline copy_stamp(from, to) {
  to.time = from.time;
  to.identity = from.identity;
  to.racy = from.racy;
  to.version = from.version
}

inline store_stamp(the_generation) {
  atomic {
    or_die();
    stamp.generation = the_generation;
    copy_stamp(mine, stamp)
  }
}

/* --- the file: rule 4 */

#define READ_CLOCK mine.time = now
#define READ_WORD mine.version = word

/* reread(): the word and the clock, fstat, the content, in this order. */
inline look_and_read() {
  atomic {
    or_die();
#ifndef MUTANT_WORD_AFTER_READ
    READ_WORD;
#endif
#ifndef MUTANT_CLOCK_AFTER_REREADERS_LOOK
    READ_CLOCK;
    LATER;
#endif
#ifdef MUTANT_IDENTITY_AFTER_READ
    stored = ON_DISK;
    LATER;
    mine.identity = IDENTITY(path);
#elif defined(CONTROL_STAT_BEFORE_READ)
    mine.identity = IDENTITY(path);
    LATER;
    stored = ON_DISK;
#else
    opened = path;
    mine.identity = IDENTITY(opened);
    LATER;
#ifdef MUTANT_CLOCK_AFTER_REREADERS_LOOK
    READ_CLOCK;
    LATER;
#endif
    stored = content[opened];
    opened = 0;
#endif
#ifdef MUTANT_WORD_AFTER_READ
    LATER;
    READ_WORD;
#endif
#if EDITS && !defined(MUTANT_NO_RACY_RULE)
    mine.racy = (CTIME_IN(mine.identity) >= mine.time)
#endif
  }
}

/* The rest of reread(): carry over, stamp if nobody took over, end. */
inline bind_and_end() {
  rebind(claimed + 1);
#ifdef CONTROL_STAMP_WITHOUT_ASKING
  store_stamp(claimed + 1);
#else
  if
  :: IS_OURS -> store_stamp(claimed + 1)
  :: !IS_OURS
  fi;
#endif
  end_claim()
}

/* Cache::renew(), with the lock held.  Who took over tells upstream, too. */
inline renew() {
  claim_under_lock();
#ifndef MUTANT_TAKEOVER_TELLS_NOBODY
  if
  :: took_over -> raise_word()
  :: else
  fi;
#endif
  look_and_read();
  bind_and_end()
}

/* Where every process ends. */
inline the_end() {
  goto gone;
stopped:
  FORGET_ALL;
end_stopped:
  false;
dead:
  FORGET_ALL;
gone:
  skip
}

/* --- who verifies: Verifier::verify() */

#if EDITS
#define IS_FRESH (moment >= mine.time && moment - mine.time < TTL)
#elif DAEMONS
#define IS_FRESH (mine.version == version)
#else
#define IS_FRESH true
#endif

#ifdef MUTANT_EXPIRED_STAMP_USED_BY_OTHERS
byte looking = NOBODY;
#endif

#define FORGET_LOOK_UP \
  seen = 0; moment = 0; version = 0; departures_before = 0; FORGET_COPY; \
  FORGET_STAMP

proctype Verifier(byte me; bit is_root) {
  byte rounds, secret, moment, version, seen, departures_before;
  bit was_revoked;
  LOCALS;

again:
  /* look_up(), generation_in_force(): word and clock, then generation. */
  atomic {
    if
    :: secret = 1
#if SECRETS > 1
    :: secret = 2
#endif
    fi;
    was_revoked = (revoked >> secret) & 1;
    departures_before = departures;
    version = word;
    moment = now;
    LATER;
    seen = generation;
    if
    :: IN_FORCE(seen)
#ifdef MUTANT_VERIFIER_WAITS_WHILE_ODD
    :: !IN_FORCE(seen) -> goto again
#else
    :: !IN_FORCE(seen) -> goto stale
#endif
    fi
  }
  /* The stamp, for this generation.  Or none: torn, or expired and racy. */
  atomic {
    if
    :: STAMP_IS_FOR(seen) -> copy_stamp(stamp, mine)
    :: !STAMP_IS_FOR(seen) || is_root -> goto stale
    fi;
    if
    :: IS_FRESH -> goto in_force
    :: else
    fi
  }
  /*
   * find_unchanged(): whoever finds the stamp expired looks for itself (I3
   * rests on it), and root renews it with the time from before the look.
   */
#if EDITS || DAEMONS
#ifdef MUTANT_EXPIRED_STAMP_USED_BY_OTHERS
  atomic {
    if
    :: looking == NOBODY -> looking = me
    :: else -> goto in_force
    fi
  }
#endif
  atomic {
    if
    :: mine.racy || mine.identity != IDENTITY(path) -> goto stale
    :: else
    fi
  }
#ifdef MUTANT_CLOCK_AFTER_LOOK
  moment = now;
#endif
  if
  :: TTL && is_root && generation == seen ->
     atomic { mine.time = moment; mine.version = version }
     store_stamp(seen)
  :: else
  fi;
#endif
in_force:
  /* find_in_force(), then the second load. */
  atomic {
    FORGET_STAMP;
    copy.generation = slot.generation;
    if
    :: copy.generation == seen
    :: else -> goto alone
    fi;
    HALF;
    copy.fact = slot.fact;
    copy.check = slot.check;
    if
    :: copy.fact == 0 || SECRET_IN(copy.fact) != secret ||
       !IS_WHOLE(copy) -> goto alone
    :: else
    fi
#ifndef MUTANT_NO_SECOND_LOAD
  }
  atomic {
    if
    :: generation == seen
    :: else -> goto alone
    fi;
#endif
    judge_hit(STORED_IN(copy.fact) == secret);
    goto verified
  }

stale:
  /* read_for_all() */
  atomic {
    FORGET_LOOK_UP;
    if
    :: !is_root -> goto alone
    :: is_root && IN_FORCE(generation) -> goto from_even_on
    :: is_root && !IN_FORCE(generation)
    fi
  }
  /* Rule 2: the lock, tried once. */
#if defined(MUTANT_VERIFIER_WAITS_FOR_LOCK)
  take_lock();
#elif !defined(MUTANT_TAKEOVER_WITHOUT_LOCK)
  atomic {
    if
    :: lock == NOBODY -> lock = me
    :: else -> goto alone
    fi
  }
#endif
  renew();
  unlock();
  goto known;

from_even_on:
#ifdef MUTANT_CLAIM_AFTER_READ
  look_and_read();
#endif
  claim_from_even();
  if
  :: claimed == 0 -> goto alone
  :: else
  fi;
#ifndef MUTANT_CLAIM_AFTER_READ
  look_and_read();
#endif
  bind_and_end();
  goto known;

alone:
  /* read_alone(): rule 5.  The generation, its stamp, then the file, which
     has to be the one that the stamp names. */
  atomic {
    FORGET_LOOK_UP;
    FORGET_ALL;
    if
    :: !is_root -> goto verified /* as below, but stores nothing */
    :: is_root && IN_FORCE(generation) -> may_insert = generation
    :: is_root && !IN_FORCE(generation)
    fi
  }
  atomic {
    if
    :: STAMP_IS_FOR(may_insert) -> mine.identity = stamp.identity
    :: else -> may_insert = NEVER_IN_FORCE
    fi
  }
  atomic {
    opened = path;
#ifndef MUTANT_INSERT_OF_ANOTHER_FILE
    if
    :: mine.identity != IDENTITY(opened) -> may_insert = NEVER_IN_FORCE
    :: else
    fi;
#endif
    FORGET_STAMP;
    LATER;
    stored = content[opened];
    opened = 0
  }

known:
  /* verify_in(): by a fact that is known or a hash, then remember(). */
  remember(FACT(stored, secret));

verified:
  atomic {
    judge(stored == secret);
    FORGET_LOOK_UP;
    FORGET_ALL;
    secret = 0;
    was_revoked = 0;
    rounds++;
    if
    :: is_root && rounds < ROUNDS -> goto again
    :: else -> rounds = 0
    fi
  }
  the_end()
}

/* --- who changes the file */

inline note_departure(what) {
  if
  :: ON_DISK == 1 && (what) != 1 ->
     left_at = now;
     left_by_else = 1;
     departures = departures + (TTL -> 0 : 1)
  :: else
  fi
}

inline rename(new, by_writer) {
  atomic {
    or_die();
    old = ON_DISK;
    note_departure(new);
    left_by_else = left_by_else && !by_writer;
    untold = untold || by_writer;
    content[inodes] = new;
    changed[inodes] = now;
    path = inodes;
    inodes++
  }
}

/* write_token(), with the stored hash `new`.  Rule 4: claim, rename, end. */
proctype Writer(byte me; byte new) {
  byte old;
  LOCALS;

  /* Gives up only where a stopped process keeps the lock. */
  if
  :: atomic { lock == NOBODY -> lock = me }
  :: lock != NOBODY && stops != 0 -> goto gone
  fi;
#ifdef MUTANT_CLAIM_AFTER_RENAME
  rename(new, true);
  claim_under_lock();
#else
  claim_under_lock();
#ifdef WORLD_RENAME_FAILS
  /* Then it ends its claim, tells upstream if the one it took over may not
     have, and is done. */
  if
  :: true
  :: true ->
#ifndef MUTANT_FAILED_RENAME_TELLS_NOBODY
     if
     :: took_over -> raise_word()
     :: else
     fi;
#endif
     end_claim();
     goto failed
  fi;
#endif
  rename(new, true);
#endif
  raise_word();
  end_claim();
  /* renew_cache() */
  renew();
  if
  :: stored == new -> remember(FACT(stored, new))
  :: else
  fi;
failed:
  unlock();
  atomic {
    if
    :: old != 0 -> revoked = revoked | (1 << old); old = 0
    :: else
    fi;
    FORGET_ALL
  }
  the_end()
}

/* Upstream's daemon knows no generation: it renames, then raises its word. */
#if DAEMONS
proctype Daemon(byte me; byte new) {
  byte old;
  LOCALS;

  take_lock();
  rename(new, false);
  raise_word();
  atomic { revoked = revoked | (1 << old); old = 0 }
  unlock();
  the_end()
}
#endif

/* --- who edits by hand: no lock, no claim, no word */

#if EDITS
proctype Editor() {
  byte edits, text;

  do
  :: edits < EDITS ->
     edits++;
     if
     :: text = 1
     :: text = 2
     fi;
     if
     :: /* In place, of the same size, with mtime restored.  The kernel sets
           ctime first and copies then. */
        atomic { changed[path] = now; editing = 1 }
        atomic {
          note_departure(text);
          content[path] = text;
          editing = 0
        }
     :: /* Another file is put there, by way of its directory, say, so that
           even its ctime is old. */
        atomic {
          changed[inodes] = 0;
          note_departure(text);
          content[inodes] = text;
          path = inodes;
          inodes++
        }
     :: /* The first file comes back as it was: by umount(8), for one. */
        atomic { path != 0 -> note_departure(content[0]); path = 0 }
     fi;
     text = 0
  :: else -> break
  od;
  edits = 0
}
#endif

#if TICKS
proctype Clock() {
  do
  :: atomic { now <= TICKS && !editing -> now++ }
  :: now > TICKS -> break
  od
}
#endif

/* --- the beginning */

init {
  byte i;

  atomic {
    content[0] = FIRST;
#if EDITS
    if
    :: true
    :: changed[0] = now
    fi;
#endif
    if
    :: generation = BORN
    :: /* Warm: secret 1 has just been verified. */
       generation = 2;
       slot.generation = 2;
       slot.fact = FACT(FIRST, 1);
       slot.check = CHECK_OF(2, slot.fact);
       stamp.generation = 2;
       stamp.time = now;
       stamp.identity = IDENTITY(0);
       stamp.racy = (changed[0] >= now)
    fi;
    for (i : 1 .. READERS + VERIFIERS) {
      run Verifier(i, (i > READERS))
    }
    for (i : 1 .. WRITERS + DAEMONS) {
      if
      :: i <= WRITERS -> run Writer(READERS + VERIFIERS + i, 1 + i)
#if DAEMONS
      :: else -> run Daemon(READERS + VERIFIERS + i, 1 + i)
#endif
      fi
    }
#if EDITS
    run Editor();
#endif
#if TICKS
    run Clock();
#endif
    i = 0
  }
}
