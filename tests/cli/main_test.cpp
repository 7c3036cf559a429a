// The front door: what goes to which stream, what the commands say to the model, exit codes.
#include <nlohmann/json.hpp>

#include "processing/image_file.h"
#include "tests/support/checkpoint_files.h"

namespace paligemma {
namespace {

using namespace test;
using nlohmann::json;

const std::vector<std::string> kQuestion{"-m", kGolden,      "--image", kPicture,
                                         "-p", "caption en", "-n",      "5"};

std::vector<std::string> with(std::vector<std::string> words,
                              const std::vector<std::string>& more) {
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

// The prompt that a command sends to the model.
std::string prompt_of(const std::vector<std::string>& command) {
  const Ran ran = run_program(with(command, {"-m", kGolden, "-n", "1", "--json"}));
  EXPECT_EQ(ran.exit_code, 0) << ran;
  return json::parse(ran.out, nullptr, false).value("prompt", "");
}

TEST(Streams, StdoutCarriesTheAnswerAloneAndANewline) {
  TemporaryFolder folder;
  write_scripted_model(folder.path(), "red circle");
  const Ran ran = run_program({"-m", folder / "", "--image", kPicture, "-p", "caption en"});
  EXPECT_EQ(ran.exit_code, 0) << ran;
  EXPECT_EQ(ran.out, "red circle\n");
  EXPECT_EQ(ran.err, "");
}

TEST(Streams, DetailsOfVGoToStderr) {
  const Ran plain = run_program(kQuestion), talking = run_program(with(kQuestion, {"-v"}));
  EXPECT_EQ(talking.exit_code, 0) << talking;
  EXPECT_EQ(talking.out, plain.out);
  EXPECT_NE(talking.err.find("[25 x <image>] <bos> caption ▁en \\n"), std::string::npos) << talking;
  EXPECT_NE(talking.err.find("device: cpu"), std::string::npos) << talking;
}

TEST(Streams, AnUntrainedModelIsOneNoteOnStderr) {
  const Ran ran = run_program({"--image", kPicture, "-p", "caption en\n", "-n", "1"});
  EXPECT_EQ(ran.exit_code, 0) << ran;
  EXPECT_LE(count_lines(ran.err), 1u) << ran;
}

TEST(Streams, QSilencesNotes) {
  const std::vector<std::string> noted{"-m", kGolden, "--image", kPicture,
                                       "-p", "ocr\n", "-n",      "1"};
  EXPECT_EQ(count_lines(run_program(noted).err), 1u);
  EXPECT_EQ(run_program(with(noted, {"-q"})).err, "");
  EXPECT_EQ(run_program(with(noted, {"--verbosity", "0"})).err, "");
}

TEST(Streams, AFullDiskIsAnErrorForEveryCommand) {
  for (const std::vector<std::string>& command : {kQuestion,
                                                  with(kQuestion, {"--json"}),
                                                  {"--help"},
                                                  {"--help-all"},
                                                  {"--version"},
                                                  {"--list-devices"},
                                                  {"tokenize", "ocr"},
                                                  {"inspect", kGolden},
                                                  {"inspect", kGolden, "--json"},
                                                  {"completion-bash"}}) {
    const Ran ran = run_program(command, {.out = "/dev/full"});
    EXPECT_EQ(ran.exit_code, 1) << command[0] << ran;
    EXPECT_EQ(ran.err, "paligemma: standard output cannot be written\n");
  }
}

TEST(Streams, AClosedStdoutIsAnErrorAndNoFileTakesItsPlace) {
  TemporaryFolder folder;
  const Ran ran = run_program(with(kQuestion, {"--dump", folder / "taps"}), {.out = "closed"});
  EXPECT_EQ(ran.exit_code, 1) << ran;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder.path())) {
    if (!entry.is_regular_file()) continue;
    EXPECT_TRUE(read_bytes(entry.path()).starts_with("\x93NUMPY")) << entry.path();
  }
  EXPECT_EQ(run_program({"--version"}, {.out = "closed"}).exit_code, 1);
}

TEST(Streams, AReaderThatLeavesEndsTheProgramQuietly) {
  const Ran ran = run_command(
      {"bash", "-c", std::string("set -o pipefail; '") + program() + "' --help-all | true"});
  EXPECT_TRUE(ran.exit_code == 0 || ran.exit_code == 1 || ran.exit_code == 128 + SIGPIPE) << ran;
}

// It waits for a picture, while the signal is repeated; then it gets the picture if it is still there. Only
// with `set -m` does bash leave SIGINT to what it starts in the background.
Ran interrupted(const std::string& set, const std::string& signal = "INT") {
  const TemporaryFolder folder;
  const std::string pipe = folder / "picture";
  const std::string script = set + "; mkfifo '" + pipe + "'; exec 3<>'" + pipe + "'; '" +
                             program() + "' -m '" + kGolden + "' --image - -p ocr -n 3 <'" + pipe +
                             "' 3>&- & " + "for i in 1 2 3 4; do sleep 0.1; kill -" + signal +
                             " $! 2>/dev/null; done; "
                             "cat '" +
                             kPicture + "' >&3; exec 3>&-; wait $!";
  return run_command({"bash", "-c", script});
}

TEST(Streams, ControlCIsExitCode130) { EXPECT_EQ(interrupted("set -m").exit_code, 130); }

TEST(Streams, BeingTerminatedIsExitCode143) {
  EXPECT_EQ(interrupted("set -m", "TERM").exit_code, 143);
  EXPECT_EQ(interrupted("trap '' TERM; set -m", "TERM").exit_code, 0) << "ignored";
}

TEST(Streams, ControlCStaysIgnoredWhereItWas) {
  const Ran ran = interrupted("set +m"),
            undisturbed = run_program({"-m", kGolden, "--image", kPicture, "-p", "ocr", "-n", "3"});
  EXPECT_EQ(ran.exit_code, 0) << ran;
  EXPECT_EQ(ran.out, undisturbed.out);
}

TEST(Answers, AreGreedyByDefaultAndRepeatable) {
  const Ran first = run_program(kQuestion);
  EXPECT_EQ(run_program(kQuestion).out, first.out);
  EXPECT_EQ(run_program(with(kQuestion, {"--temp", "0"})).out, first.out);
  EXPECT_EQ(run_program(with(kQuestion, {"--seed", "7"})).out, first.out);
  EXPECT_EQ(run_program(with(kQuestion, {"--do-sample=false", "--temp", "2"})).out, first.out);
}

TEST(Answers, DrawTheSameForTheSameSeed) {
  std::vector<std::string> question = kQuestion;
  question.back() = "8";
  std::set<std::string> answers;
  for (const char* seed : {"1", "2", "3"}) {
    const auto drawn = with(question, {"--temp", "3", "--seed", seed});
    const Ran ran = run_program(drawn);
    EXPECT_EQ(ran.exit_code, 0) << ran;
    EXPECT_EQ(run_program(drawn).out, ran.out);
    answers.insert(ran.out);
  }
  EXPECT_GT(answers.size(), 1u);
}

TEST(Answers, DoSampleAloneDrawsToo) {
  std::vector<std::string> question = kQuestion;
  question.back() = "16";
  EXPECT_NE(run_program(with(question, {"--do-sample", "--seed", "1"})).out,
            run_program(question).out);
}

TEST(Answers, DoNotDependOnTheThreads) {
  EXPECT_EQ(run_program(with(kQuestion, {"-t", "1"})).out,
            run_program(with(kQuestion, {"-t", "3"})).out);
}

TEST(Commands, SendTheLiteralPrompts) {
  EXPECT_EQ(prompt_of({"caption", kPicture}), "caption en");
  EXPECT_EQ(prompt_of({"answer", kPicture, "what is this?"}), "answer en what is this?");
  EXPECT_EQ(prompt_of({"detect", kPicture, "cat ; dog"}), "detect cat ; dog");
  EXPECT_EQ(prompt_of({"segment", kPicture, "cat ; dog"}), "segment cat ; dog");
  EXPECT_EQ(prompt_of({"ocr", kPicture}), "ocr");
}

TEST(Commands, JoinSeveralWords) {
  EXPECT_EQ(prompt_of({"answer", kPicture, "what", "is", "this?"}), "answer en what is this?");
  EXPECT_EQ(prompt_of({"detect", kPicture, "cat", "red dog"}), "detect cat ; red dog");
  EXPECT_EQ(prompt_of({"segment", kPicture, "cat", "dog"}), "segment cat ; dog");
}

TEST(Commands, TakeALanguage) {
  EXPECT_EQ(prompt_of({"caption", kPicture, "--lang", "fr"}), "caption fr");
  EXPECT_EQ(prompt_of({"answer", kPicture, "quoi ?", "--lang", "fr"}), "answer fr quoi ?");
}

TEST(Commands, TakeThePictureByFlagToo) {
  EXPECT_EQ(prompt_of({"caption", "--image", kPicture}), "caption en");
  EXPECT_EQ(prompt_of({"--image", kPicture, "ocr"}), "ocr");
  EXPECT_EQ(prompt_of({"detect", "--image", kPicture, "cat"}), "detect cat");
}

TEST(Commands, RefuseWhatTheyCannotUse) {
  EXPECT_TRUE(refuses(run_program({"caption"}), 2, {"picture"}));
  EXPECT_TRUE(refuses(run_program({"caption", kPicture, "cat"}), 2, {"cat"}));
  EXPECT_TRUE(refuses(run_program({"caption", kPicture, "--image", kPicture}), 2));
  EXPECT_TRUE(refuses(run_program({"ocr", kPicture, "-p", "ocr"}), 2, {"--prompt"}));
  EXPECT_TRUE(refuses(run_program({"answer", kPicture}), 2, {"after the picture"}));
  EXPECT_TRUE(refuses(run_program({"detect", kPicture}), 2, {"after the picture"}));
}

TEST(Prompt, MayComeFromAFileWhoseLastNewlineIsNotPartOfIt) {
  TemporaryFolder folder;
  for (const char* text : {"caption en", "caption en\n", "caption en\r\n"}) {
    write_text(folder / "prompt.txt", text);
    EXPECT_EQ(prompt_of({"--image", kPicture, "-f", folder / "prompt.txt"}), "caption en");
  }
  const std::vector<std::string> missing{"--image", kPicture, "-f", folder / "none.txt"};
  EXPECT_TRUE(refuses(run_program(missing), 2, {"none.txt"}));
  EXPECT_TRUE(refuses(run_program({"--image", kPicture, "-f", folder / ""}), 2));
  EXPECT_TRUE(refuses(run_program({"--image", kPicture, "-p", "a", "-f", folder / "prompt.txt"}), 2,
                      {"--prompt", "--file"}));
}

TEST(Prompt, MayComeFromStandardInput) {
  const std::vector<std::string> words{"-m", kGolden,  "--image", kPicture, "-f",
                                       "-",  "--json", "-n",      "1"};
  const Ran ran = run_program(words, {.input = "caption en\n"});
  EXPECT_EQ(json::parse(ran.out, nullptr, false).value("prompt", ""), "caption en") << ran;
  EXPECT_EQ(run_program({"tokenize", "-f", "-"}, {.input = "ocr\n"}).out,
            run_program({"tokenize", "ocr"}).out);
  EXPECT_TRUE(refuses(run_program({"--image", "-", "-f", "-"}, {.input = "ocr"}), 2, {"--file -"}));
}

TEST(Prompt, OfAWindowsEditorIsItsWords) {
  TemporaryFolder folder;
  write_text(folder / "prompt.txt",
             "\xef\xbb\xbf"
             "caption en\r\n");
  EXPECT_EQ(prompt_of({"--image", kPicture, "-f", folder / "prompt.txt"}), "caption en");
  for (const std::string mark : {"\xff\xfe", "\xfe\xff"}) {
    write_text(folder / "prompt.txt", mark + std::string("o\0c\0r\0", 6));
    EXPECT_TRUE(refuses(run_program({"--image", kPicture, "-f", folder / "prompt.txt"}), 2,
                        {"prompt.txt", "UTF-16", "iconv"}));
  }
}

TEST(Prompt, MayLookLikeAFlag) {
  EXPECT_EQ(prompt_of({"--image", kPicture, "-p", "-v"}), "-v");
  EXPECT_EQ(prompt_of({"--image", kPicture, "--prompt", "--cpu"}), "--cpu");
}

TEST(Prompt, OfAnyContentIsAcceptedWithAtMostOneNote) {
  const std::vector<std::pair<const char*, bool>> prompts{{"", false},
                                                          {"<image>caption en", false},
                                                          {"<bos>caption en", true},
                                                          {"caption en\n", true},
                                                          {"<image><bos>ocr\n", true},
                                                          {"a\nb", false},
                                                          {"<eos>", false},
                                                          {"<loc0001>", false},
                                                          {"détecter 猫 🐈", false},
                                                          {" ", false},
                                                          {"<loc9999> <seg>", false},
                                                          {"\t", false}};
  for (const auto& [prompt, noted] : prompts) {
    const Ran ran = run_program({"-m", kGolden, "--image", kPicture, "-n", "1", "-p", prompt});
    EXPECT_EQ(ran.exit_code, 0) << prompt << ran;
    EXPECT_EQ(count_lines(ran.err), 1u) << prompt << ran;
    EXPECT_EQ(ran.err != cut_at(1), noted) << prompt << ran;
  }
}

TEST(Prompt, ThatIsNotUtf8IsRefused) {
  for (const char* prompt :
       {"\xff", "caption \xc3", "\xed\xa0\x80", "\xc0\xaf", "\xf5\x80\x80\x80"}) {
    const Ran ran = run_program({"-m", kGolden, "--image", kPicture, "-p", prompt});
    EXPECT_TRUE(refuses(ran, 2, {"UTF-8"}));
  }
}

TEST(Prompt, ThatLeavesNoRoomIsRefused) {
  std::string words;
  for (int i = 0; i < 8200; ++i) words += " en";
  TemporaryFolder folder;
  write_text(folder / "long.txt", words);
  const std::vector<std::string> ask{"-m", kGolden, "--image", kPicture};
  EXPECT_TRUE(refuses(run_program(with(ask, {"-f", folder / "long.txt"})), 2, {"8192 positions"}));
  EXPECT_TRUE(refuses(run_program(with(ask, {"-p", "ocr", "-n", "8192"})), 2, {"8192 positions"}));
}

TEST(Usage, UnknownFlagsAreRefusedWithTheNearestName) {
  EXPECT_TRUE(refuses(run_program({"--temprature", "1"}), 2, {"--temprature", "--temperature?"}));
  EXPECT_TRUE(refuses(run_program({"--max-token", "1"}), 2, {"--max-tokens?"}));
  EXPECT_TRUE(refuses(run_program({"--imgae=x"}), 2, {"--image?"}));
  EXPECT_TRUE(refuses(run_program({"captoin", kPicture}), 2, {"caption?"}));
  EXPECT_TRUE(refuses(run_program({"--mmproj", "x"}), 2, {"--mmproj"}));
}

TEST(Usage, AMissingValueOrPictureIsRefused) {
  EXPECT_TRUE(refuses(run_program({}), 2, {"--image"}));
  EXPECT_TRUE(refuses(run_program({"-p", "caption en"}), 2, {"--image"}));
  EXPECT_TRUE(refuses(run_program({"--image"}), 2, {"--image"}));
  EXPECT_TRUE(refuses(run_program({"--image", kPicture, "-p"}), 2, {"--prompt"}));
}

TEST(Usage, WhatIsNotThereYetIsRefusedByName) {
  EXPECT_TRUE(refuses(run_program(with(kQuestion, {"--report", "r.html"})), 2, {"--report"}));
}

TEST(Version, ShowsTheCommitAndTheExecutors) {
  const Ran ran = run_program({"--version"});
  EXPECT_EQ(ran.exit_code, 0) << ran;
  EXPECT_TRUE(ran.out.starts_with("paligemma ")) << ran;
  EXPECT_NE(ran.out.find("commit "), std::string::npos) << ran;
  EXPECT_NE(ran.out.find("executors: reference"), std::string::npos) << ran;
  EXPECT_NE(ran.out.find("pictures: " + picture_decoders()), std::string::npos) << ran;
  EXPECT_EQ(count_lines(ran.out), 1u);
  EXPECT_EQ(ran.err, "");
}

TEST(Help, EndsWithExamplesAndNamesEveryCommand) {
  const Ran ran = run_program({"--help"});
  EXPECT_EQ(ran.exit_code, 0) << ran;
  EXPECT_EQ(run_program({"-h"}).out, ran.out);
  for (const char* word :
       {"--model",    "--image", "--prompt",       "caption", "answer", "detect",
        "segment",    "ocr",     "embed",          "scene",   "eval",   "finetune",
        "train-tiny", "bench",   "quantize",       "merge",   "init",   "inspect",
        "tokenize",   "presets", "completion-bash"}) {
    EXPECT_NE(ran.out.find(word), std::string::npos) << word;
  }
  EXPECT_NE(ran.out.find("Examples:"), std::string::npos);
}

}  // namespace
}  // namespace paligemma
