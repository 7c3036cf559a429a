#include "world/scores.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <set>
#include <sstream>
#include <string_view>

namespace paligemma::world {
namespace {

bool is_shape(const std::string& word) {
  for (int i = 0; i < kShapes; ++i) {
    if (word == name_of(Shape{i}) || word == plural_of(Shape{i})) return true;
  }
  return false;
}

// "a red circle and a blue square": every color that a shape follows.
std::multiset<std::string> pairs_in(const std::string& caption) {
  std::multiset<std::string> pairs;
  std::istringstream words(caption);
  std::string before;
  for (std::string word; words >> word; before = word) {
    if (color_named(before) && shape_named(word)) {
      pairs.insert(before + " " + word);
    }
  }
  return pairs;
}

double common(const std::multiset<std::string>& a, const std::multiset<std::string>& b) {
  std::vector<std::string> both;
  std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(both));
  return static_cast<double>(both.size());
}

// "detect red circle ; star" -> red circle, star.
std::vector<std::string> phrases_of(const std::string& prompt) {
  std::vector<std::string> phrases;
  std::string rest = prompt.substr(prompt.find(' ') + 1);
  for (;;) {
    const auto end = rest.find(" ; ");
    phrases.push_back(rest.substr(0, end));
    if (end == rest.npos) return phrases;
    rest = rest.substr(end + 3);
  }
}

bool fits(const Thing& thing, const std::string& phrase) {
  const std::string shape(name_of(thing.shape));
  return phrase == shape || phrase == std::string(name_of(thing.color)) + " " + shape;
}

// True if `text` begins with a token such as <loc0123>, which is then taken off.
bool take_token(std::string_view& text, std::string_view name, std::size_t digits) {
  const std::size_t size = name.size() + digits + 2;
  if (text.size() < size || text[0] != '<' || text[size - 1] != '>') return false;
  if (text.substr(1, name.size()) != name) return false;
  const std::string_view number = text.substr(1 + name.size(), digits);
  if (number.find_first_not_of("0123456789") != number.npos) return false;
  text.remove_prefix(size);
  return true;
}

// answer := [ object { " ; " object } ], object := <loc....> x 4 [ <seg...> x 16 ] " " label.
bool well_formed(std::string_view answer, bool masks) {
  while (!answer.empty()) {
    for (int i = 0; i < 4; ++i) {
      if (!take_token(answer, "loc", 4)) return false;
    }
    for (int i = 0; i < (masks ? 16 : 0); ++i) {
      if (!take_token(answer, "seg", 3)) return false;
    }
    const std::string_view label = answer.substr(0, answer.find(" ; "));
    if (label.size() < 2 || label[0] != ' ') return false;
    if (label.find_first_not_of(" abcdefghijklmnopqrstuvwxyz") != label.npos) return false;
    answer.remove_prefix(label.size());
    if (answer == " ; ") return false;
    if (!answer.empty()) answer.remove_prefix(3);
  }
  return true;
}

}  // namespace

std::string template_of(const std::string& prompt) {
  std::string text;
  std::istringstream words(prompt);
  for (std::string word; words >> word;) {
    const bool ends = word.ends_with('?');
    if (ends) word.pop_back();
    if (color_named(word) || is_shape(word)) word = "*";
    if (word == "an") word = "a";
    text += (text.empty() ? "" : " ") + word + (ends ? "?" : "");
  }
  return text;
}

Baseline::Baseline(int scenes) {
  std::map<std::string, std::map<std::string, int>> counts;
  for (int i = 0; i < scenes; ++i) {
    const Truth truth = truth_of(random_scene(Split::train, static_cast<std::uint64_t>(i)));
    for (const Question& q :
         evaluation_questions(truth, Split::train, static_cast<std::uint64_t>(i))) {
      ++counts[template_of(q.prompt)][q.answer];
    }
  }
  for (const auto& [asked, answers] : counts) {
    const auto more = [](const auto& a, const auto& b) { return a.second < b.second; };
    answers_[asked] = std::max_element(answers.begin(), answers.end(), more)->first;
  }
}

const std::string& Baseline::answer(const std::string& prompt) const {
  static const std::string kNothing;
  const auto found = answers_.find(template_of(prompt));
  return found == answers_.end() ? kNothing : found->second;
}

double Mean::value() const {
  return count == 0 ? std::numeric_limits<double>::quiet_NaN() : sum / static_cast<double>(count);
}

double intersection_over_union(const CanvasBox& a, const CanvasBox& b) {
  const double height = std::min(a[2], b[2]) - std::max(a[0], b[0]);
  const double width = std::min(a[3], b[3]) - std::max(a[1], b[1]);
  if (height <= 0 || width <= 0) return 0;
  const auto area = [](const CanvasBox& box) { return (box[2] - box[0]) * (box[3] - box[1]); };
  return height * width / (area(a) + area(b) - height * width);
}

CanvasBox canvas_box(const Detection& detection) {
  CanvasBox box;
  for (std::size_t i = 0; i < 4; ++i) box[i] = detection.bins[i] / 1023.0 * kCanvas;
  return box;
}

std::vector<int> match(const Truth& truth, const Question& question,
                       const std::vector<Detection>& found) {
  struct Candidate {
    double overlap;
    std::size_t wanted;
    int found;
  };
  const auto phrases = phrases_of(question.prompt);
  const auto asked = [&](const std::string& label) {
    return std::find(phrases.begin(), phrases.end(), label) != phrases.end();
  };
  std::vector<Candidate> candidates;
  for (std::size_t w = 0; w < question.things.size(); ++w) {
    const Thing& thing = truth.things[question.things[w]];
    for (std::size_t f = 0; f < found.size(); ++f) {
      const double overlap = intersection_over_union(thing.box, canvas_box(found[f]));
      if (overlap > 0 && asked(found[f].label) && fits(thing, found[f].label)) {
        candidates.push_back({overlap, w, static_cast<int>(f)});
      }
    }
  }
  std::stable_sort(candidates.begin(), candidates.end(),
                   [](const auto& a, const auto& b) { return a.overlap > b.overlap; });
  std::vector<int> matched(question.things.size(), -1);
  for (const Candidate& c : candidates) {
    const bool taken = std::find(matched.begin(), matched.end(), c.found) != matched.end();
    if (matched[c.wanted] == -1 && !taken) matched[c.wanted] = c.found;
  }
  return matched;
}

void Scores::add(const Truth& truth, const Question& question, const std::string& said,
                 const Baseline& baseline) {
  const double exact = said == question.answer;
  const double guessed = baseline.answer(question.prompt) == question.answer;
  switch (task_of(question.family)) {
    case Task::caption: {
      caption.add(exact);
      caption_baseline.add(guessed);
      const auto wanted = pairs_in(question.answer), named = pairs_in(said);
      pairs_wanted += static_cast<double>(wanted.size());
      pairs_named += static_cast<double>(named.size());
      pairs_right += common(wanted, named);
      break;
    }
    case Task::answer:
      answer.add(exact);
      answer_baseline.add(guessed);
      answer_by[std::string(name_of(question.family))].add(exact);
      break;
    case Task::ocr:
      ocr.add(exact);
      break;
    case Task::detect:
    case Task::segment: {
      const bool masks = question.family == Family::segment;
      invalid.add(!well_formed(said, masks));
      if (masks) break;
      const auto found = parse_detections(said);
      const auto matched = match(truth, question, found);
      for (std::size_t i = 0; i < matched.size(); ++i) {
        const double iou =
            matched[i] < 0 ? 0
                           : intersection_over_union(truth.things[question.things[i]].box,
                                                     canvas_box(found[std::size_t(matched[i])]));
        overlap.add(iou);
        recall50.add(iou > 0.5);
        recall75.add(iou > 0.75);
      }
      for (const std::string& phrase : phrases_of(question.prompt)) {
        const auto is_there = [&](const Thing& thing) { return fits(thing, phrase); };
        if (std::any_of(truth.things.begin(), truth.things.end(), is_there)) continue;
        absent.add(std::none_of(found.begin(), found.end(),
                                [&](const Detection& d) { return d.label == phrase; }));
      }
      break;
    }
  }
}

void Scores::add(const Scores& other) {
  const auto merge = [](Mean& mine, const Mean& theirs) {
    mine.sum += theirs.sum;
    mine.count += theirs.count;
  };
  scenes += other.scenes;
  for (const auto member :
       {&Scores::caption, &Scores::caption_baseline, &Scores::answer, &Scores::answer_baseline,
        &Scores::ocr, &Scores::overlap, &Scores::recall50, &Scores::recall75, &Scores::invalid,
        &Scores::absent, &Scores::mask_overlap}) {
    merge(this->*member, other.*member);
  }
  for (const auto& [family, mean] : other.answer_by) merge(answer_by[family], mean);
  pairs_right += other.pairs_right;
  pairs_wanted += other.pairs_wanted;
  pairs_named += other.pairs_named;
}

double Scores::caption_f1() const { return 2 * pairs_right / (pairs_wanted + pairs_named); }

}  // namespace paligemma::world
