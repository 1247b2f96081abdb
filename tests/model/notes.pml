// SPDX-License-Identifier: BSD-3-Clause
/*
 * The note: how long a re-reader is left alone, so that one of them finishes.
 *
 * This models the word, the note beside it, and root processes that each find
 * the stamp expired all the time.  Each follows rule 2: it loads word and
 * note, stores a note of the number that it is about to claim, claims, reads
 * the file for SLOW ticks, and ends.  A claimant may die, DEATHS times.  Each
 * process takes one step in a tick, in any order, so no one is slower than
 * SLOW says.  Progress is a claim that ends with bindings in force.
 *
 * What is left out, and why that is sound:
 * - What is read and bound: safety does not rest on the note, and the other
 *   models take over re-readers at any moment.
 * - Writers: they claim from any number at once, and each writes once.
 * - The number itself.  The word counts modulo NUMBERS, and the note has low
 *   bits alone anyway.
 * - The time itself.  The note has its age, which stops at the longest limit.
 */
#ifndef PROCESSES
#define PROCESSES 2
#endif
#ifndef SLOW
#define SLOW 3 /* Ticks that a process needs to read the file. */
#endif
#ifndef LIMIT
#define LIMIT 1 /* Ticks for which a re-reader is left alone at first. */
#endif
#ifndef DOUBLINGS
#define DOUBLINGS 3 /* At most. */
#endif
#ifndef DEATHS
#define DEATHS 1
#endif

#define NUMBERS 8 /* Even: in force.  Odd: a re-reader has claimed. */
#define NEXT(n) (((n) + 1) % NUMBERS)
#define AFTER_NEXT(n) (((n) + 2) % NUMBERS)
#define IN_FORCE(n) ((n) % 2 == 0)
#define LONGEST (LIMIT << DOUBLINGS)

byte word;

/* The note: 8 bytes that are stored at once. */
typedef Note {
  byte number;
  byte doublings;
  byte age
};
Note note;

/* Bit n: process n has taken its step in this tick, or is dead. */
byte done;
byte dead;
byte deaths;
#define ALL ((1 << PROCESSES) - 1)

inline tick() {
  done = done | (1 << me);
  if
  :: (done | dead) == ALL ->
     done = 0;
     note.age = (note.age < LONGEST -> note.age + 1 : note.age)
  :: else
  fi
}
#define MY_TURN (!(done & (1 << me)))

inline set_note(the_number, the_doublings) {
  note.number = the_number;
  note.doublings = the_doublings;
  note.age = 0
}

proctype Rereader(byte me) {
  byte seen, claimed, work, doublings;

look:
  /* The word and its note. */
  atomic {
    MY_TURN ->
    seen = word;
    if
    :: IN_FORCE(seen) -> claimed = NEXT(seen); doublings = 0; tick()
#ifndef MUTANT_NO_NOTE
    :: !IN_FORCE(seen) && note.number != seen ->
       /* It sets the note, keeps the doublings, and goes on without. */
#ifdef MUTANT_DOUBLINGS_FORGOTTEN
       set_note(seen, 0);
#else
       set_note(seen, note.doublings);
#endif
       tick();
       goto look
    :: !IN_FORCE(seen) && note.number == seen &&
#ifdef MUTANT_FIXED_TIME
       note.age < LIMIT ->
#else
       note.age < (LIMIT << note.doublings) ->
#endif
       tick();
       goto look
#endif
    :: else ->
       claimed = AFTER_NEXT(seen);
       doublings = (note.doublings < DOUBLINGS -> note.doublings + 1 :
                    note.doublings);
       tick()
    fi
  }
  /* The note before the compare-and-swap. */
  atomic { MY_TURN -> set_note(claimed, doublings); tick() }
  atomic {
    MY_TURN ->
    if
    :: word == seen -> word = claimed; tick()
    :: else -> tick(); goto look
    fi
  }
  work = 0;
  do
  :: atomic { MY_TURN && work < SLOW -> work++; tick() }
  :: atomic {
       MY_TURN && deaths < DEATHS && word == claimed ->
       deaths++;
       dead = dead | (1 << me);
       tick();
       goto gone
     }
  :: work == SLOW -> break
  od;
  work = 0;
  atomic {
    MY_TURN ->
    if
    :: word == claimed -> word = NEXT(claimed); note.doublings = 0; tick()
    :: else -> tick(); goto look
    fi
  }
progress_in_force:
  goto look;
gone:
  seen = 0;
  claimed = 0;
  work = 0;
  doublings = 0
}

init {
  byte i;

  atomic {
    for (i : 1 .. PROCESSES) {
      run Rereader(i - 1)
    }
    i = 0
  }
}
