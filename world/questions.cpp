#include "world/questions.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>

namespace paligemma::world {
namespace {

// Two things are left and right of each other, or above and below, if their centres lie this far
// apart; nearer than that, nobody is asked.
constexpr double kApart = 16;

struct Pair {
  Color color;
  Shape shape;
  bool operator==(const Pair&) const = default;
};

Pair pair_of(const Thing& thing) { return {thing.color, thing.shape}; }

std::string words(Pair pair) {
  return std::string(name_of(pair.color)) + " " + std::string(name_of(pair.shape));
}

std::string with_article(const std::string& noun) {
  const bool vowel = std::string_view("aeiou").find(noun[0]) != std::string_view::npos;
  return (vowel ? "an " : "a ") + noun;
}

struct Asker {
  const Truth& truth;
  bool about_held_out;
  Random& random;

  const std::vector<Thing>& things() const { return truth.things; }

  template <class Predicate>
  std::vector<std::size_t> from_left_to_right(const Predicate& wanted) const {
    std::vector<std::size_t> found;
    for (std::size_t i = 0; i < things().size(); ++i) {
      if (wanted(things()[i])) found.push_back(i);
    }
    std::sort(found.begin(), found.end(), [&](std::size_t a, std::size_t b) {
      return things()[a].box[1] < things()[b].box[1];
    });
    return found;
  }

  std::vector<std::size_t> all_of(Pair pair) const {
    return from_left_to_right([&](const Thing& t) { return pair_of(t) == pair; });
  }
  std::vector<std::size_t> all_of(Shape shape) const {
    return from_left_to_right([&](const Thing& t) { return t.shape == shape; });
  }

  // A thing to ask about.
  const Thing& one() const {
    for (const Thing& thing : things()) {
      if (about_held_out && held_out(thing.color, thing.shape)) return thing;
    }
    return things()[static_cast<std::size_t>(random.below(static_cast<int>(things().size())))];
  }

  Shape any_shape() const { return Shape{random.below(kShapes)}; }

  // A pair that is not in the picture, mostly one that has the color or shape of a thing that is.
  Pair absent_pair() const {
    for (;;) {
      Pair pair = {Color{random.below(kColors)}, any_shape()};
      if (!things().empty() && random.chance(0.6)) {
        const Thing& near = one();
        if (random.chance(0.5)) {
          pair.color = near.color;
        } else {
          pair.shape = near.shape;
        }
      }
      if (all_of(pair).empty() && !held_out(pair.color, pair.shape)) return pair;
    }
  }
};

double center(const Thing& thing, int axis) { return (thing.box[axis] + thing.box[axis + 2]) / 2; }

struct Relation {
  std::string_view name;
  int axis;  // 0 down, 1 across
  int sign;
  // Whether a is `name` b: 1 yes, -1 no (the opposite), 0 not to be asked.
  int holds(const Thing& a, const Thing& b) const {
    const double difference = sign * (center(a, axis) - center(b, axis));
    return std::abs(difference) < kApart ? 0 : difference > 0 ? 1 : -1;
  }
};
constexpr std::array<Relation, 4> kRelations = {
    {{"left of", 1, -1}, {"right of", 1, 1}, {"above", 0, -1}, {"below", 0, 1}}};

Question answer(Family family, const std::string& asked, std::string said) {
  return {family, "answer en " + asked + "?", std::move(said)};
}

std::optional<Question> caption(const Asker& asker) {
  std::string text;
  for (const std::size_t i : asker.from_left_to_right([](const Thing&) { return true; })) {
    text += (text.empty() ? "" : " and ") + with_article(words(pair_of(asker.things()[i])));
  }
  return Question{Family::caption, "caption en", text.empty() ? "no shapes" : text};
}

std::optional<Question> color(const Asker& asker) {
  if (asker.things().empty()) return std::nullopt;
  const Thing& thing = asker.one();
  if (asker.all_of(thing.shape).size() != 1) return std::nullopt;
  return answer(Family::color, "what color is the " + std::string(name_of(thing.shape)),
                std::string(name_of(thing.color)));
}

std::optional<Question> shape(const Asker& asker) {
  if (asker.things().empty()) return std::nullopt;
  const Thing& thing = asker.one();
  const auto same =
      asker.from_left_to_right([&](const Thing& t) { return t.color == thing.color; });
  if (same.size() != 1) return std::nullopt;
  return answer(Family::shape, "what shape is " + std::string(name_of(thing.color)),
                std::string(name_of(thing.shape)));
}

std::optional<Question> count(const Asker& asker) {
  if (asker.things().empty() || asker.random.chance(0.5)) {
    return answer(Family::count, "how many shapes are there",
                  std::to_string(asker.things().size()));
  }
  const Shape shape = asker.random.chance(0.65) ? asker.one().shape : asker.any_shape();
  return answer(Family::count, "how many " + plural_of(shape) + " are there",
                std::to_string(asker.all_of(shape).size()));
}

std::optional<Question> existence(const Asker& asker) {
  const bool shape_alone = asker.random.chance(0.25);
  const bool wants_yes = !asker.things().empty() && asker.random.chance(0.5);
  if (shape_alone) {
    Shape shape = asker.any_shape();
    if (wants_yes) shape = asker.one().shape;
    return answer(Family::existence, "is there " + with_article(std::string(name_of(shape))),
                  asker.all_of(shape).empty() ? "no" : "yes");
  }
  const Pair pair = wants_yes ? pair_of(asker.one()) : asker.absent_pair();
  return answer(Family::existence, "is there " + with_article(words(pair)),
                asker.all_of(pair).empty() ? "no" : "yes");
}

// "star" if there is one star, else "red star"; nothing if there are several red stars.
std::optional<std::string> reference(const Asker& asker, const Thing& thing, bool short_form) {
  if (short_form && asker.all_of(thing.shape).size() == 1) return std::string(name_of(thing.shape));
  if (asker.all_of(pair_of(thing)).size() == 1) return words(pair_of(thing));
  return std::nullopt;
}

std::optional<Question> relation(const Asker& asker) {
  if (asker.things().size() < 2) return std::nullopt;
  const auto& relation = kRelations[static_cast<std::size_t>(asker.random.below(4))];
  const Thing& thing = asker.one();
  const auto name = reference(asker, thing, asker.random.chance(0.4));
  if (!name) return std::nullopt;

  if (asker.random.chance(0.5)) {  // what is left of it?
    const Thing* found = nullptr;
    for (const Thing& other : asker.things()) {
      if (&other == &thing) continue;
      const int holds = relation.holds(other, thing);
      if (holds == 0 || (holds == 1 && found != nullptr)) return std::nullopt;
      if (holds == 1) found = &other;
    }
    if (found == nullptr) return std::nullopt;
    return answer(Family::relation, "what is " + std::string(relation.name) + " the " + *name,
                  words(pair_of(*found)));
  }

  const Thing& other = asker.things()[static_cast<std::size_t>(
      asker.random.below(static_cast<int>(asker.things().size())))];
  const auto other_name = reference(asker, other, asker.random.chance(0.4));
  const int holds = relation.holds(thing, other);
  if (&other == &thing || !other_name || holds == 0) return std::nullopt;
  return answer(Family::relation,
                "is the " + *name + " " + std::string(relation.name) + " the " + *other_name,
                holds == 1 ? "yes" : "no");
}

// One phrase to find, and what it finds.
struct Query {
  std::string phrase;
  std::vector<std::size_t> found;
};

std::string found_text(const Truth& truth, const Query& query, bool masks) {
  std::string text;
  for (const std::size_t i : query.found) {
    text += (text.empty() ? "" : " ; ") + location_tokens(truth.things[i].box);
    if (masks) text += "{" + std::to_string(i) + "}";
    text += " " + query.phrase;
  }
  return text;
}

std::optional<Question> detect(const Asker& asker) {
  const auto pair_query = [&] {
    const bool absent =
        asker.things().empty() || (!asker.about_held_out && asker.random.chance(0.15));
    const Pair pair = absent ? asker.absent_pair() : pair_of(asker.one());
    return Query{words(pair), asker.all_of(pair)};
  };
  Query first = pair_query();
  Question question = {Family::detect, {}, {}};
  const int kind = asker.random.weighted({0.6, 0.2, 0.2});
  if (kind == 1) {
    const Shape shape =
        asker.things().empty() || asker.random.chance(0.15) ? asker.any_shape() : asker.one().shape;
    first = {std::string(name_of(shape)), asker.all_of(shape)};
  }
  question.prompt = "detect " + first.phrase;
  question.answer = found_text(asker.truth, first, false);
  question.things = first.found;
  if (kind == 2 && asker.things().size() > 1) {
    const Thing& other = asker.things()[static_cast<std::size_t>(
        asker.random.below(static_cast<int>(asker.things().size())))];
    const Query second = {words(pair_of(other)), asker.all_of(pair_of(other))};
    if (second.phrase == first.phrase) return question;
    question.prompt += " ; " + second.phrase;
    question.answer += (first.found.empty() ? "" : " ; ") + found_text(asker.truth, second, false);
    question.things.insert(question.things.end(), second.found.begin(), second.found.end());
  }
  return question;
}

std::optional<Question> segment(const Asker& asker) {
  if (asker.things().empty()) return std::nullopt;
  const bool absent = !asker.about_held_out && asker.random.chance(0.06);
  const Pair pair = absent ? asker.absent_pair() : pair_of(asker.one());
  const Query query = {words(pair), asker.all_of(pair)};
  return Question{Family::segment, "segment " + query.phrase, found_text(asker.truth, query, true),
                  query.found};
}

std::optional<Question> ocr(const Asker& asker) {
  return Question{Family::ocr, "ocr", asker.truth.writing ? asker.truth.writing->text : ""};
}

}  // namespace

std::string_view name_of(Task task) {
  static constexpr std::array<std::string_view, 5> kNames = {"caption", "answer", "detect",
                                                             "segment", "ocr"};
  return kNames[static_cast<std::size_t>(task)];
}

std::string_view name_of(Family family) {
  static constexpr std::array<std::string_view, 9> kNames = {
      "caption", "color", "shape", "count", "existence", "relation", "detect", "segment", "ocr"};
  return kNames[static_cast<std::size_t>(family)];
}

Task task_of(Family family) {
  static constexpr std::array<Task, 9> kTasks = {Task::caption, Task::answer,  Task::answer,
                                                 Task::answer,  Task::answer,  Task::answer,
                                                 Task::detect,  Task::segment, Task::ocr};
  return kTasks[static_cast<std::size_t>(family)];
}

std::string location_tokens(const CanvasBox& box) {
  std::string tokens;
  for (const double v : box) {
    char token[16];
    const long bin = std::clamp(std::lround(v / kCanvas * 1023), 0L, 1023L);
    std::snprintf(token, sizeof token, "<loc%04ld>", bin);
    tokens += token;
  }
  return tokens;
}

std::optional<Question> question(const Truth& truth, Family family, bool about_held_out,
                                 Random& random) {
  const Asker asker = {truth, about_held_out, random};
  using Ask = std::optional<Question> (*)(const Asker&);
  static constexpr std::array<Ask, 9> kAsk = {caption,  color,  shape,   count, existence,
                                              relation, detect, segment, ocr};
  return kAsk[static_cast<std::size_t>(family)](asker);
}

}  // namespace paligemma::world
