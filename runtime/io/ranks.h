// How the ranks of a program begin, and how they end when one fails.
#pragma once

#include "backend.h"
#include "mpar/world.h"

#include <stdexcept>
#include <string>

namespace mpar {

/// The command line asks for what there is not: exit status 2.
class WrongUse : public std::runtime_error {
public:
  using std::runtime_error::runtime_error;
};

/// Holds the ranks to one another: the same program, started with the same words, and none of them
/// wrong. Throws Error or, where `wrong` is not empty, WrongUse on one rank, Stopped on the others.
void agree(World &world, const std::string &wrong, int argc, char **argv);

/// What `--devices auto` is to be: "cuda" where every rank has a GPU of its own, else "cpu"; then
/// `why` says why, in one line, where there are GPUs. All ranks call it.
std::string choose_for_ranks(World &world, std::string &why);

/// Gives the world a communicator, between one GPU of each rank, which all call this. Fails on one
/// rank, with Stopped on the others, where two have the same GPU, and where there is nothing that
/// carries messages.
void join_ranks(World &world, Backend &gpu);

/// Has a rank print why it ends as soon as that is known; its launcher then ends it silently.
void let_speak(World &world);

/// Prints the line with which this process fails, unless it has, and has the others end.
void say(World *world, const std::string &message);

/// Has this process say so, in one line, when its launcher ends it, as mpirun does with all ranks
/// when one of them has ended.
void say_when_ended(const World &world);

/// Has this process, which is ending by itself, say nothing when its launcher ends it too: a rank
/// that stops others outlives them, and mpirun then means to end it before it has come to its end.
void end_without_last_words();

} // namespace mpar
