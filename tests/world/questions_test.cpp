#include "world/questions.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "tests/support/world.h"
#include "world/curriculum.h"

namespace paligemma::world {
namespace {

using test::thing_at;
using test::truth_with;

using Asked = std::map<std::string, std::string>;  // prompts and their answers

// All that chance asks, in so many draws.
Asked all_asked(const Truth& truth, Family family, int draws, bool about_held_out = false) {
  Random random(1);
  Asked asked;
  for (int i = 0; i < draws; ++i) {
    const auto made = question(truth, family, about_held_out, random);
    if (!made) continue;
    EXPECT_EQ(made->family, family);
    const auto [at, is_new] = asked.emplace(made->prompt, made->answer);
    EXPECT_EQ(at->second, made->answer) << made->prompt;
  }
  return asked;
}

// From left to right: an orange triangle, a red star and, hardly lower than the star, a blue cross.
Truth three() {
  return truth_with({thing_at(115, 125, Color::red, Shape::star),
                     thing_at(30, 40, Color::orange, Shape::triangle),
                     thing_at(180, 130, Color::blue, Shape::cross)},
                    "A7");
}

// Two red stars, and a green heart between them.
Truth twins() {
  return truth_with({thing_at(180, 112, Color::red, Shape::star),
                     thing_at(112, 112, Color::green, Shape::heart),
                     thing_at(40, 112, Color::red, Shape::star)});
}

const std::string kStar = "<loc0480><loc0434><loc0662><loc0617>";      // of three(): 105 95 145 135
const std::string kTriangle = "<loc0091><loc0046><loc0274><loc0228>";  // 20 10 60 50
const std::string kCross = "<loc0502><loc0731><loc0685><loc0913>";     // 110 160 150 200

// ---- an answerer that shares no code with the questions

std::vector<std::string> words_of(std::string text) {
  std::replace(text.begin(), text.end(), '?', ' ');
  std::vector<std::string> words;
  std::string word;
  for (const char c : text + " ") {
    if (c != ' ') {
      word += c;
    } else if (!word.empty()) {
      words.push_back(std::exchange(word, {}));
    }
  }
  return words;
}

bool is_called(const Thing& thing, const std::vector<std::string>& phrase) {
  return phrase.back() == name_of(thing.shape) &&
         (phrase.size() == 1 || phrase.front() == name_of(thing.color));
}

std::vector<std::size_t> called(const Truth& truth, const std::vector<std::string>& phrase) {
  std::multimap<double, std::size_t> found;
  for (std::size_t i = 0; i < truth.things.size(); ++i) {
    if (is_called(truth.things[i], phrase)) found.emplace(truth.things[i].box[1], i);
  }
  std::vector<std::size_t> indices;
  for (const auto& [x, i] : found) indices.push_back(i);
  return indices;
}

std::string full_name(const Thing& thing) {
  return std::string(name_of(thing.color)) + " " + std::string(name_of(thing.shape));
}

std::string article_of(const std::string& noun) {
  return noun.starts_with("orange") ? "an" : "a";  // no other name here begins with a vowel
}

// 1 if a is `where` b, -1 if it is the other side, 0 if that is not clear.
int side(const Thing& a, const Thing& b, const std::string& where) {
  const bool across = where == "left" || where == "right";
  const auto middle = [&](const Thing& t) {
    return across ? (t.box[1] + t.box[3]) / 2 : (t.box[0] + t.box[2]) / 2;
  };
  const double further = middle(a) - middle(b);
  if (std::abs(further) < 16) return 0;
  return (further > 0) == (where == "right" || where == "below") ? 1 : -1;
}

std::string boxes(const Truth& truth, const std::string& prompt, bool masks) {
  std::string text;
  std::string phrases = prompt.substr(prompt.find(' ') + 1);
  for (std::size_t end = 0; end != phrases.npos; phrases.erase(0, end + 3)) {
    end = phrases.find(" ; ");
    const std::string phrase = phrases.substr(0, end);
    for (const std::size_t i : called(truth, words_of(phrase))) {
      if (!text.empty()) text += " ; ";
      for (const double v : truth.things[i].box) {
        const std::string bin = std::to_string(int(v / 224 * 1023 + 0.5));
        text += "<loc" + std::string(4 - bin.size(), '0') + bin + ">";
      }
      text += (masks ? "{" + std::to_string(i) + "} " : " ") + phrase;
    }
    if (end == phrases.npos) break;
  }
  return text;
}

// The right answer; "?" for a prompt that has none.
std::string answered(const Truth& truth, const std::string& prompt) {
  if (prompt == "ocr") return truth.writing ? truth.writing->text : "";
  if (prompt.starts_with("detect ")) return boxes(truth, prompt, false);
  if (prompt.starts_with("segment ")) return boxes(truth, prompt, true);
  const auto words = words_of(prompt);
  const auto phrase = [&](std::size_t from, std::size_t to) {
    return std::vector<std::string>(words.begin() + long(from), words.begin() + long(to));
  };
  if (prompt == "caption en") {
    std::multimap<double, std::string> names;
    for (const Thing& t : truth.things) {
      names.emplace(t.box[1], article_of(full_name(t)) + " " + full_name(t));
    }
    std::string text;
    for (const auto& [x, name] : names) text += (text.empty() ? "" : " and ") + name;
    return text.empty() ? "no shapes" : text;
  }
  if (prompt.starts_with("answer en what color is the ")) {
    const auto found = called(truth, phrase(6, words.size()));
    return found.size() == 1 ? std::string(name_of(truth.things[found[0]].color)) : "?";
  }
  if (prompt.starts_with("answer en what shape is ")) {
    std::string answer = "?";
    for (const Thing& t : truth.things) {
      if (name_of(t.color) == words.back()) answer = answer == "?" ? name_of(t.shape) : "several";
    }
    return answer;
  }
  if (prompt.starts_with("answer en how many ")) {
    if (words[4] == "shapes") return std::to_string(truth.things.size());
    std::string shape = words[4];
    shape.resize(shape.size() - (shape == "crosses" ? 2 : 1));
    return std::to_string(called(truth, {shape}).size());
  }
  if (prompt.starts_with("answer en is there ")) {
    if (words[4] != article_of(words[5])) return "?";
    return called(truth, phrase(5, words.size())).empty() ? "no" : "yes";
  }
  const std::string asked = prompt.substr(10, prompt.size() - 11);
  std::string where;
  std::size_t at = asked.npos;
  for (const char* name : {"left", "right", "above", "below"}) {
    if (asked.find(std::string(" ") + name) == asked.npos) continue;
    where = name;
    at = asked.find(std::string(" ") + name);
  }
  const auto there_from = asked.find(" the ", at);
  if (at == asked.npos || there_from == asked.npos) return "?";
  const std::string here = asked.substr(0, at);
  const auto about = called(truth, words_of(asked.substr(there_from + 5)));
  if (about.size() != 1) return "?";
  const Thing& there = truth.things[about[0]];
  if (here != "what is") {
    const auto first = called(truth, words_of(here.substr(7)));
    if (first.size() != 1) return "?";
    const int holds = side(truth.things[first[0]], there, where);
    return holds == 0 ? "?" : holds == 1 ? "yes" : "no";
  }
  std::string answer = "?";
  for (const Thing& t : truth.things) {
    if (&t == &there) continue;
    const int holds = side(t, there, where);
    if (holds == 0 || (holds == 1 && answer != "?")) return "?";
    if (holds == 1) answer = full_name(t);
  }
  return answer;
}

// ---- by hand

// docs/world/questions.md, "By hand".
TEST(Questions, WorkedExample) {
  const Truth truth = three();
  EXPECT_EQ(all_asked(truth, Family::caption, 1),
            (Asked{{"caption en", "an orange triangle and a red star and a blue cross"}}));
  EXPECT_EQ(all_asked(truth, Family::color, 50),
            (Asked{{"answer en what color is the star?", "red"},
                   {"answer en what color is the triangle?", "orange"},
                   {"answer en what color is the cross?", "blue"}}));
  EXPECT_EQ(all_asked(truth, Family::shape, 50),
            (Asked{{"answer en what shape is red?", "star"},
                   {"answer en what shape is orange?", "triangle"},
                   {"answer en what shape is blue?", "cross"}}));
  EXPECT_EQ(all_asked(truth, Family::count, 500),
            (Asked{{"answer en how many shapes are there?", "3"},
                   {"answer en how many circles are there?", "0"},
                   {"answer en how many squares are there?", "0"},
                   {"answer en how many triangles are there?", "1"},
                   {"answer en how many stars are there?", "1"},
                   {"answer en how many hearts are there?", "0"},
                   {"answer en how many crosses are there?", "1"}}));
  EXPECT_EQ(all_asked(truth, Family::ocr, 1), (Asked{{"ocr", "A7"}}));
  EXPECT_EQ(location_tokens(truth.things[0].box), kStar);
}

TEST(Questions, AskWhatIsThereAndWhatIsNot) {
  const Asked asked = all_asked(three(), Family::existence, 4000);
  for (const char* there :
       {"a red star", "an orange triangle", "a blue cross", "a star", "a triangle", "a cross"}) {
    EXPECT_EQ(asked.at("answer en is there " + std::string(there) + "?"), "yes");
  }
  for (const char* absent : {"a red triangle", "an orange star", "an orange cross", "a blue star",
                             "a circle", "a square", "a heart", "a black square"}) {
    EXPECT_EQ(asked.at("answer en is there " + std::string(absent) + "?"), "no");
  }
  EXPECT_EQ(asked.size(), 6u + 44u) << "6 shapes, and all pairs but those that are held out";
}

TEST(Questions, AskForRelationsThatAreClear) {
  const Asked asked = all_asked(three(), Family::relation, 8000);
  // Left of the star is one thing, left of the cross are two, and below the triangle too.
  Asked what;
  for (const auto& [prompt, answer] : asked) {
    if (prompt.starts_with("answer en what is ")) what.emplace(prompt.substr(18), answer);
  }
  EXPECT_EQ(what, (Asked{{"left of the star?", "orange triangle"},
                         {"left of the red star?", "orange triangle"},
                         {"right of the star?", "blue cross"},
                         {"right of the red star?", "blue cross"}}));
  const auto said = [&](const std::string& is) { return asked.at("answer en is the " + is + "?"); };
  EXPECT_EQ(said("triangle left of the star"), "yes");
  EXPECT_EQ(said("orange triangle left of the red star"), "yes");
  EXPECT_EQ(said("star left of the orange triangle"), "no");
  EXPECT_EQ(said("blue cross right of the star"), "yes");
  EXPECT_EQ(said("triangle above the cross"), "yes");
  EXPECT_EQ(said("cross above the triangle"), "no");
  EXPECT_EQ(said("star below the triangle"), "yes");
  EXPECT_FALSE(asked.contains("answer en is the star above the cross?")) << "5 units only";
  // 4 ordered pairs in 4 relations and 2 pairs in 2, each thing by either name.
  EXPECT_EQ(asked.size() - what.size(), (4u * 4 + 2 * 2) * 4);
}

TEST(Questions, CallThingsApartFromSixteenUnits) {
  const auto relations = [](double apart) {
    return all_asked(truth_with({thing_at(60, 100, Color::red, Shape::star),
                                 thing_at(60 + apart, 180, Color::blue, Shape::heart)}),
                     Family::relation, 1000);
  };
  EXPECT_TRUE(relations(16).contains("answer en is the heart right of the star?"));
  EXPECT_TRUE(relations(-16).contains("answer en is the heart right of the star?"));
  EXPECT_FALSE(relations(15.9).contains("answer en is the heart right of the star?"));
  EXPECT_FALSE(relations(15.9).contains("answer en what is left of the heart?"));
  EXPECT_TRUE(relations(15.9).contains("answer en is the heart below the star?"));
}

// A question must not have two answers.
TEST(Questions, ReferToOneThingOnly) {
  EXPECT_EQ(all_asked(twins(), Family::color, 100),
            (Asked{{"answer en what color is the heart?", "green"}}));
  EXPECT_EQ(all_asked(twins(), Family::shape, 100),
            (Asked{{"answer en what shape is green?", "heart"}}));
  EXPECT_EQ(all_asked(twins(), Family::relation, 2000),
            (Asked{{"answer en what is left of the heart?", "red star"},
                   {"answer en what is left of the green heart?", "red star"},
                   {"answer en what is right of the heart?", "red star"},
                   {"answer en what is right of the green heart?", "red star"}}));
  // A shape alone does when it is the only one of its kind, else the color is named.
  const Truth stars = truth_with(
      {thing_at(40, 40, Color::red, Shape::star), thing_at(150, 150, Color::pink, Shape::star)});
  const Asked asked = all_asked(stars, Family::relation, 500);
  EXPECT_EQ(asked.at("answer en is the red star left of the pink star?"), "yes");
  for (const auto& [prompt, answer] : asked) {
    EXPECT_EQ(prompt.find("the star"), prompt.npos) << prompt;
  }
}

TEST(Questions, FindOneOrSeveralThingsFromLeftToRight) {
  const Asked asked = all_asked(twins(), Family::detect, 2000);
  const std::string left = "<loc0420><loc0091><loc0603><loc0274>";    // 92 20 132 60
  const std::string middle = "<loc0420><loc0420><loc0603><loc0603>";  // 92 92 132 132
  const std::string right = "<loc0420><loc0731><loc0603><loc0913>";   // 92 160 132 200
  EXPECT_EQ(asked.at("detect red star"), left + " red star ; " + right + " red star");
  EXPECT_EQ(asked.at("detect star"), left + " star ; " + right + " star");
  EXPECT_EQ(asked.at("detect green heart"), middle + " green heart");
  EXPECT_EQ(asked.at("detect green heart ; red star"),
            middle + " green heart ; " + left + " red star ; " + right + " red star")
      << "in the order of the prompt";
  EXPECT_EQ(asked.at("detect red heart"), "") << "of what is not there, nothing";
  EXPECT_EQ(asked.at("detect circle"), "");
  EXPECT_EQ(asked.at("detect red heart ; red star"), left + " red star ; " + right + " red star");
  for (const auto& [prompt, answer] : asked) {
    EXPECT_NE(prompt, "detect red star ; red star") << "the same twice";
  }
}

TEST(Questions, SayWhichThingsAreToBeFound) {
  Random random(7);
  for (int i = 0; i < 500; ++i) {
    const auto asked = question(twins(), i % 2 ? Family::detect : Family::segment, false, random);
    ASSERT_TRUE(asked);
    if (asked->prompt.ends_with("detect red star")) {
      EXPECT_EQ(asked->things, (std::vector<std::size_t>{2, 0}));
    }
    if (asked->prompt == "segment green heart") {
      EXPECT_EQ(asked->things, (std::vector<std::size_t>{1}));
    }
    if (asked->prompt == "detect red star ; green heart") {
      EXPECT_EQ(asked->things, (std::vector<std::size_t>{2, 0, 1}));
    }
    EXPECT_EQ(asked->answer.empty(), asked->things.empty()) << asked->prompt;
  }
}

TEST(Questions, LeaveAPlaceForEachMask) {
  const Asked asked = all_asked(three(), Family::segment, 2000);
  EXPECT_EQ(asked.at("segment red star"), kStar + "{0} red star");
  EXPECT_EQ(asked.at("segment orange triangle"), kTriangle + "{1} orange triangle");
  EXPECT_EQ(asked.at("segment blue cross"), kCross + "{2} blue cross");
  EXPECT_EQ(asked.at("segment red triangle"), "");
  const std::string two = all_asked(twins(), Family::segment, 100).at("segment red star");
  EXPECT_LT(two.find("{2} red star ; "), two.find("{0} red star"));
}

TEST(Questions, AboutAnEmptyPicture) {
  const Truth empty;
  EXPECT_EQ(all_asked(empty, Family::caption, 1), (Asked{{"caption en", "no shapes"}}));
  EXPECT_EQ(all_asked(empty, Family::count, 100),
            (Asked{{"answer en how many shapes are there?", "0"}}));
  EXPECT_EQ(all_asked(empty, Family::ocr, 1), (Asked{{"ocr", ""}}));
  for (const Family family : {Family::color, Family::shape, Family::relation, Family::segment}) {
    EXPECT_TRUE(all_asked(empty, family, 100).empty());
  }
  for (const auto& [prompt, answer] : all_asked(empty, Family::existence, 300)) {
    EXPECT_EQ(answer, "no") << prompt;
  }
  for (const auto& [prompt, answer] : all_asked(empty, Family::detect, 300)) {
    EXPECT_EQ(answer, "") << prompt;
  }
}

TEST(Questions, NameNoHeldOutPairThatIsNotThere) {
  for (const Truth& truth : {three(), twins(), Truth{}}) {
    for (const Family family : {Family::existence, Family::detect, Family::segment}) {
      for (const auto& [prompt, answer] : all_asked(truth, family, 3000)) {
        for (const char* pair : {"orange circle", "pink square", "blue heart", "green cross"}) {
          EXPECT_EQ(prompt.find(pair), prompt.npos) << prompt;
        }
      }
    }
  }
}

TEST(Questions, AreAboutTheHeldOutPairIfThatIsAskedFor) {
  const Truth truth = truth_with({thing_at(40, 40, Color::black, Shape::square),
                                  thing_at(112, 112, Color::orange, Shape::circle),
                                  thing_at(190, 190, Color::red, Shape::star)});
  EXPECT_EQ(all_asked(truth, Family::color, 100, true),
            (Asked{{"answer en what color is the circle?", "orange"}}));
  EXPECT_EQ(all_asked(truth, Family::shape, 100, true),
            (Asked{{"answer en what shape is orange?", "circle"}}));
  EXPECT_EQ(all_asked(truth, Family::segment, 100, true).size(), 1u);
  for (const auto& [prompt, answer] : all_asked(truth, Family::relation, 500, true)) {
    EXPECT_NE(prompt.find("circle"), prompt.npos) << prompt;
  }
  for (const auto& [prompt, answer] : all_asked(truth, Family::existence, 500, true)) {
    const bool names_another = prompt.ends_with(" square?") || prompt.ends_with(" star?");
    const bool names_a_pair =
        prompt.find("black") != prompt.npos || prompt.find("red") != prompt.npos;
    EXPECT_FALSE(answer == "yes" && names_another && names_a_pair) << prompt;
  }
}

TEST(Questions, RoundPlacesToTheNearestOf1024) {
  EXPECT_EQ(location_tokens({0, 0, 224, 224}), "<loc0000><loc0000><loc1023><loc1023>");
  EXPECT_EQ(location_tokens({56, 112, 112, 168}), "<loc0256><loc0512><loc0512><loc0767>");
  EXPECT_EQ(location_tokens({0.1, 0.11, 223.8, 223.9}), "<loc0000><loc0001><loc1022><loc1023>");
  EXPECT_EQ(location_tokens({-3, 0, 230, 7}), "<loc0000><loc0000><loc1023><loc0032>");
}

TEST(Questions, BelongToTasks) {
  EXPECT_EQ(task_of(Family::caption), Task::caption);
  for (const Family family :
       {Family::color, Family::shape, Family::count, Family::existence, Family::relation}) {
    EXPECT_EQ(task_of(family), Task::answer);
  }
  EXPECT_EQ(task_of(Family::detect), Task::detect);
  EXPECT_EQ(task_of(Family::segment), Task::segment);
  EXPECT_EQ(task_of(Family::ocr), Task::ocr);
  EXPECT_EQ(name_of(Family::existence), "existence");
  EXPECT_EQ(name_of(Task::answer), "answer");
  EXPECT_EQ(name_of(Family::ocr), "ocr");
  EXPECT_EQ(name_of(Task::ocr), "ocr");
}

// ---- over many scenes

TEST(Questions, HaveTheRightAnswer) {
  int asked = 0;
  for (const Split split : {Split::train, Split::test, Split::held_out}) {
    for (std::uint64_t number = 0; number < 60; ++number) {
      const Truth truth = truth_of(random_scene(split, number));
      Random random(number);
      auto all = evaluation_questions(truth, split, number);
      for (const Question& q : training_questions(truth, 4, random)) all.push_back(q);
      for (const Question& q : all) {
        EXPECT_EQ(q.answer, answered(truth, q.prompt)) << q.prompt << ", scene " << number;
        ++asked;
      }
    }
  }
  EXPECT_GT(asked, 1000);
}

TEST(Questions, AreAnsweredWithYesAsOftenAsWithNo) {
  std::map<Family, std::map<std::string, int>> said;
  Random random(1);
  for (std::uint64_t number = 0; number < 1000; ++number) {
    const Truth truth = truth_of(random_scene(Split::train, number));
    for (const Family family : {Family::existence, Family::relation}) {
      if (const auto q = question(truth, family, false, random)) ++said[family][q->answer];
    }
  }
  for (auto& [family, answers] : said) {
    const double all = answers["yes"] + answers["no"];
    EXPECT_GT(all, 100);
    EXPECT_NEAR(answers["yes"] / all, 0.5, 0.07) << name_of(family);
  }
}

}  // namespace
}  // namespace paligemma::world
