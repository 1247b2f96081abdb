// SPDX-License-Identifier: BSD-3-Clause
/*
 * The lease: a revocation that is real everywhere, on this host.
 *
 * An engine, elsewhere, has revision 1 of the file, which holds the secret,
 * and at some moment commits revision 2, which does not.  Agents of this host
 * ask the engine and adopt what it says; between any two steps they may stop
 * for ever, or be killed.  Verifiers hit or miss.  A deletion everywhere has
 * returned here if an adopt of revision 2 has returned, or if the lease has
 * passed since the commit.  No verification that begins after the first may
 * accept the secret; nor may one that looks at the clock for the last time
 * after the second.
 *
 * What is left out, and why that is sound:
 * - How re-readers read and bind: the other models do that.  Here it is one
 *   step, from a number in force or under the lock.
 * - Digests: a file is its revision.
 * - Changes of this host: a lease stays in force beside them.
 * - The boot and the time namespace of a lease: one that has another is none.
 * - 1.01 and 1 s of the coordinator's wait, which are for clocks that do not
 *   run alike.
 */
#ifndef AGENTS
#define AGENTS 1
#endif
#ifndef QUESTIONS
#define QUESTIONS 2 /* By each agent. */
#endif
#ifndef VERIFIERS
#define VERIFIERS 1
#endif
#ifndef ROUNDS
#define ROUNDS 1 /* Of each verifier. */
#endif
#ifndef REREADS
#define REREADS 1
#endif
#ifndef KILLS
#define KILLS 0
#endif
#ifndef FLUSHES
#define FLUSHES 0
#endif
#ifndef LEASE
#define LEASE 2
#endif
#ifndef TICKS
#define TICKS 4
#endif

#define SECRET 1  /* The revision that holds it. */
#define REVOKED 2 /* The one that does not. */
#define NOTHING 0

byte now = 1;
byte committed; /* When; 0: not yet. */
byte revision = SECRET;

/* token.shadow, and token.shadow.lease, which is replaced in one step. */
byte file = SECRET;
typedef Record {
  byte revision;
  byte asked
};
Record record;

/* The segment.  An even word: what was bound under it is in force. */
byte word;
byte bound;
byte bound_under;
byte copy; /* Of `asked`; 0: none. */

bool locked;
bool acknowledged; /* An adopt of REVOKED has returned. */
byte kills;
bool accepted_after_delete;

#define LASTS(asked) ((asked) != 0 && now - (asked) < LEASE)
#define IN_FORCE(g) ((g) % 2 == 0)
#define NEXT_CLAIM(g) ((g) % 2 == 0 -> (g) + 1 : (g) + 2)
#define LATER(a, b) ((a) > (b) -> (a) : (b))
#define IS_OVER (committed != 0 && now - committed >= LEASE)

/* The kernel gives the lock of a dead process back. */
inline may_die() {
  if
  :: kills < KILLS -> d_step { kills++; locked = false }; goto dead
  :: true
  fi
}

inline give_back() {
  locked = false
}

proctype Clock() {
  do
  :: now < TICKS -> now++
  :: now == TICKS -> break
  od
}

proctype Engine() {
  d_step { revision = REVOKED; committed = now }
}

inline put_record() {
  d_step {
    record.revision = delivered;
    record.asked = LATER(asked, record.asked)
  }
}

inline put_file() {
  word = NEXT_CLAIM(word);
  may_die();
#ifdef MUTANT_LEASE_BEFORE_ITS_FILE
  put_record();
  may_die();
  file = delivered;
  may_die();
#else
  file = delivered;
  may_die();
  put_record();
  may_die();
#endif
  word++;
  may_die();
  d_step { bound = file; bound_under = word }
}

proctype Agent() {
  byte asked;
  byte delivered;
  byte left = QUESTIONS;
  do
  :: left > 0 ->
    d_step { left--; asked = now };
    delivered = revision;
#ifdef MUTANT_ASKED_AFTER_THE_ANSWER
    asked = now;
#endif
    d_step { !locked -> locked = true };
#ifdef MUTANT_LEASE_FROM_ADOPT
    asked = now;
#endif
    if
#ifdef MUTANT_ADOPT_LOWERS_A_REVISION
    :: false ->
#else
    :: delivered < record.revision ->
#endif
      give_back()
    :: else ->
      if
      :: delivered == file -> put_record()
      :: else -> put_file()
      fi;
      may_die();
      copy = LATER(record.asked, copy);
      may_die();
      d_step {
        give_back();
        acknowledged = acknowledged || delivered == REVOKED
      }
    fi
  :: true -> break /* The link is cut. */
  od;
dead: skip
}

/* Reads the file for all. */
proctype Rereader() {
  byte left = REREADS;
  do
  :: left > 0 ->
    d_step {
      !locked -> left--;
      word = word + 2 - word % 2;
      bound = file;
      bound_under = word
    }
  :: true -> break
  od
}

/* A new segment has no copy of the lease. */
proctype Flush() {
  byte left = FLUSHES;
  do
  :: left > 0 ->
    d_step {
      !locked -> left--;
      word = word + 2 - word % 2;
      bound = NOTHING;
      copy = 0
    }
  :: true -> break
  od
}

/* The clock that a hit looks at is the last one that it looks at. */
inline hit() {
  d_step { lasts = LASTS(copy); is_over = IS_OVER };
  loaded = word;
  answer = (bound_under == loaded && IN_FORCE(loaded) -> bound : NOTHING);
  if
  :: word != loaded || !lasts -> answer = NOTHING
  :: else
  fi
}

inline miss() {
#ifdef MUTANT_LEASE_ONLY_IN_THE_SEGMENT
  leased = now;
#else
  leased = record.asked;
#endif
  lasts = LASTS(leased);
  answer = file;
  /* Here the secret is hashed. */
#ifdef MUTANT_NO_SECOND_LOOK
  is_over = IS_OVER;
#else
  d_step { lasts = lasts && LASTS(leased); is_over = IS_OVER };
#endif
  if
  :: !lasts -> answer = NOTHING
  :: else
  fi
}

proctype Verifier() {
  byte left = ROUNDS;
  byte loaded;
  byte leased;
  byte answer;
  bool lasts;
  bool is_over;
  bool was_acknowledged;
  do
  :: left > 0 ->
    d_step { left--; was_acknowledged = acknowledged };
    if
    :: hit()
    :: miss()
    fi;
    d_step {
      accepted_after_delete =
          answer == SECRET && (was_acknowledged || is_over);
      assert(!accepted_after_delete);
      loaded = 0;
      leased = 0;
      answer = NOTHING;
      lasts = false;
      is_over = false;
      was_acknowledged = false
    }
  :: left == 0 -> break
  od
}

init {
  byte i;
  atomic {
    record.revision = SECRET;
    record.asked = now;
    copy = now;
    bound = SECRET;
    run Clock();
    run Engine();
    run Rereader();
    run Flush();
    for (i : 1 .. AGENTS) {
      run Agent()
    }
    for (i : 1 .. VERIFIERS) {
      run Verifier()
    }
  }
}
