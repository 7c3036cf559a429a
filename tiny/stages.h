// Stages: what the tiny model learns, in which order, and how fast.
//
//   vision   the vision tower alone, from a dense head: 1600 steps of 64 pictures
//   joint    everything, from prompts and answers: 3600 steps of 32 pictures with up to four questions each
//   polish   more of the questions that are learned last: 2400 steps
//
// Matrices of layers are moved by Muon, everything else by AdamW. A stage begins with what the one before has learned.
// docs/tiny.md says what each choice is worth.
//
// Read next: tiny/scene_source.h.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "train/optimizer.h"
#include "train/schedule.h"

namespace paligemma::tiny {

struct Stage {
  std::string_view name;
  Index pictures, at_once;   // of a step, and of each of its batches
  double rate, matrix_rate;  // train/optimizer.h
  Schedule schedule;
  std::uint64_t first_scene;  // every stage sees others
  double texts;               // share of scenes that are to have a text
  bool asks;                  // or is the vision tower learned alone
  bool hard;                  // more of the questions that are learned last
  double settles;  // the share of the steps behind which targets are as narrow as they become
};

std::span<const Stage> stages();

// How far the stage is towards narrow targets before a step (from 1), 0 to 1.
double settled(const Stage& stage, Index step);

OptimizerRule optimizer_rule(const Stage& stage);

// Numbers for a model that has learned nothing: uniform, of variance 1 / (3 inputs) for matrices and their biases;
// normal, of 0.02 for positions and 1 / sqrt(D) for words; norms that do nothing. The coordinates' words, of which
// `first` is <loc0000>, are sines and cosines in half of their numbers, so that neighbours are alike.
void begin(std::vector<Parameter>& parameters, TokenId first, std::uint64_t seed);

// Copies what has the same name.
void take(const std::vector<Parameter>& from, std::vector<Parameter>& to);

}  // namespace paligemma::tiny
