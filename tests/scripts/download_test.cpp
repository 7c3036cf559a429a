// scripts/download.sh, against a hub on this machine that plays tricks.
#include <gtest/gtest.h>

#include <atomic>
#include <fstream>

#include "tests/support/checkpoint_files.h"
#include "tests/support/http_server.h"

namespace paligemma {
namespace {

using namespace test;
namespace fs = std::filesystem;

const std::string kToken = "hf_nobodyMayReadThis";
const std::string kCommit(40, '1');

// org/name, whose large files another host has.
class FakeHub {
 public:
  std::map<std::string, std::string> files;
  HttpAnswer refusal{.status = 0};  // of whatever is asked for
  std::string commit = kCommit;
  std::map<std::string, std::string> checksums;       // that it says instead
  std::size_t breaks_off_behind = std::string::npos;  // bytes of a large file
  bool knows_ranges = true, refuses_ranges = false, sends_nothing = false;
  int bytes_too_many = 0;  // in what it says of a large file
  bool moves = false;      // sends small files' requests to another place of its own
  std::atomic<bool> token_was_seen = false;  // among the arguments of any process

  std::string address() const { return hub_.address(); }
  const HttpServer& hub() const { return hub_; }
  const HttpServer& store() const { return store_; }

  std::string checksum(const std::string& file) const {
    if (const auto said = checksums.find(file); said != checksums.end()) return said->second;
    const std::string& content = files.at(file);
    const std::string blob = "blob " + std::to_string(content.size()) + '\0' + content;
    return is_large(file) ? run_command({"sha256sum"}, {.input = content}).out.substr(0, 64)
                          : run_command({"sha1sum"}, {.input = blob}).out.substr(0, 40);
  }

 private:
  static bool is_large(const std::string& file) { return file.ends_with(".safetensors"); }

  void look_for_the_token() {
    for (const auto& process : fs::directory_iterator("/proc")) {
      std::string arguments(1 << 16, '\0');  // read() makes no exception of a process that is gone
      std::ifstream(process.path() / "cmdline").read(arguments.data(), std::ssize(arguments));
      if (arguments.find(kToken) != arguments.npos) token_was_seen = true;
    }
  }

  HttpAnswer of_hub(const HttpRequest& request) {
    look_for_the_token();
    if (refusal.status != 0) return refusal;
    const bool moved = request.path.starts_with("/moved/");
    const auto revision = request.path.find("resolve/") + 8;
    const std::string file = request.path.substr(moved ? 7 : request.path.find('/', revision) + 1);
    if (!files.contains(file)) {
      return {.status = 404, .headers = {{"X-Error-Code", "EntryNotFound"}}};
    }
    HttpAnswer answer{.status = 302};
    if (!moved) answer.headers["X-Repo-Commit"] = commit;
    if (is_large(file)) {
      answer.headers["Location"] = store_.address("localhost") + "/" + file;
      answer.headers["X-Linked-Etag"] = '"' + checksum(file) + '"';
      answer.headers["X-Linked-Size"] = std::to_string(files[file].size() + bytes_too_many);
    } else if (moves && !moved) {
      answer.headers["Location"] = "/moved/" + file;
    } else {
      const HttpAnswer whole = content(request, file);
      answer.status = whole.status;
      answer.body = whole.body;
      answer.breaks_off_at = whole.breaks_off_at;
      answer.headers["ETag"] = "W/\"" + checksum(file) + '"';
    }
    return answer;
  }

  HttpAnswer content(const HttpRequest& request, const std::string& file) {
    std::string body = files.at(file);
    const std::string range = request.header("range");
    HttpAnswer answer{.headers = {{"ETag", "\"as-stored\""}}, .breaks_off_at = breaks_off_behind};
    if (!range.empty() && refuses_ranges) return {.status = 416};
    if (!range.empty() && knows_ranges) {
      const std::size_t begin = std::stoul(range.substr(range.find('=') + 1));
      answer.status = 206;
      answer.headers["Content-Range"] = "bytes " + std::to_string(begin) + "-" +
                                        std::to_string(body.size() - 1) + "/" +
                                        std::to_string(body.size());
      body.erase(0, begin);
    }
    answer.body = body;
    if (sends_nothing) answer.breaks_off_at = 0;
    return answer;
  }

  HttpServer store_{[this](const HttpRequest& request) {
    look_for_the_token();
    return content(request, request.path.substr(1));
  }};
  HttpServer hub_{[this](const HttpRequest& request) { return of_hub(request); }};
};

class Download : public ::testing::Test {
 protected:
  Download() {
    hub_.files = {{"config.json", "{}"},
                  {"tokenizer.model", "words"},
                  {"model.safetensors", std::string(100000, 'w')}};
    write_text(folder_ / "sleep", "#!/bin/sh\n");  // nobody waits
    fs::permissions(folder_ / "sleep", fs::perms::owner_all);
  }
  Ran download(const std::vector<std::string>& arguments,
               const std::map<std::string, std::string>& more = {}) const {
    std::map<std::string, std::string> environment = more;
    environment.insert({{"HF_ENDPOINT", hub_.address()},
                        {"HF_HUB_CACHE", folder_ / "hub"},
                        {"HOME", folder_.path()},
                        {"no_proxy", "*"},
                        {"PATH", folder_.path().string() + ":" + std::getenv("PATH")}});
    std::vector<std::string> words{std::string(kSourceTree) + "/scripts/download.sh"};
    words.insert(words.end(), arguments.begin(), arguments.end());
    const Ran ran = run_command(words, {.environment = environment});
    EXPECT_EQ((ran.out + ran.err).find(kToken), std::string::npos) << ran;
    return ran;
  }
  // This exit code, nothing on standard output, and a last line on standard error that says all of `words`.
  void fails(const Ran& ran, int exit_code, const std::vector<std::string>& said) const {
    EXPECT_EQ(ran.exit_code, exit_code) << ran;
    EXPECT_EQ(ran.out, "");
    const std::string line = ran.err.substr(ran.err.rfind('\n', ran.err.size() - 2) + 1);
    EXPECT_TRUE(line.starts_with("download.sh: ")) << ran;
    for (const std::string& word : said)
      EXPECT_NE(line.find(word), line.npos) << word << "\n" << ran;
  }
  void is_whole(const Ran& ran) const {
    EXPECT_EQ(ran.exit_code, 0) << ran;
    EXPECT_EQ(ran.out, snapshot_.string() + "\n");
    for (const auto& [file, content] : hub_.files) {
      EXPECT_EQ(read_bytes(snapshot_ / file), content) << file;
    }
    for (const auto& blob : fs::directory_iterator(repository_ / "blobs")) {
      EXPECT_NE(blob.path().extension(), ".incomplete");
    }
  }
  std::vector<std::string> ranges() const {
    std::vector<std::string> asked;
    for (const HttpRequest& request : hub_.store().requests("GET")) {
      asked.push_back(request.header("range"));
    }
    return asked;
  }
  fs::path blob(const std::string& file) const {
    return repository_ / "blobs" / hub_.checksum(file);
  }

  TemporaryFolder folder_;
  FakeHub hub_;
  const fs::path repository_ = folder_ / "hub/models--org--name",
                 snapshot_ = repository_ / "snapshots" / kCommit;
};

TEST_F(Download, LandsWhereTheProgramFindsIt) {
  hub_.files.clear();
  for (const char* name : {"config.json", "generation_config.json", "preprocessor_config.json",
                           "tokenizer.model", "model.safetensors"}) {
    hub_.files[name] = read_bytes(kGolden + "/" + name);
  }
  is_whole(download({"org/name", "--revision", "refs/pr/1"}));
  EXPECT_EQ(hub_.hub().requests("HEAD")[0].path, "/org/name/resolve/refs%2Fpr%2F1/config.json");
  const Ran ran =
      run_program({"caption", kPicture, "-n", "1", "-q", "-m", "hf://org/name@refs/pr/1"},
                  {.environment = {{"HF_HUB_CACHE", folder_ / "hub"}}});
  EXPECT_EQ(ran.exit_code, 0) << ran;
}

// As huggingface_hub 2.4.0 has it.
TEST_F(Download, HasTheHubsLayout) {
  is_whole(download({"org/name"}));
  EXPECT_EQ(read_bytes(repository_ / "refs/main"), kCommit);
  for (const auto& [file, content] : hub_.files) {
    EXPECT_EQ(fs::read_symlink(snapshot_ / file), "../../blobs/" + hub_.checksum(file));
    EXPECT_TRUE(
        fs::exists(folder_ / "hub/.locks/models--org--name" / (hub_.checksum(file) + ".lock")));
  }
  const auto before = hub_.hub().requests("GET").size();
  is_whole(download({"hf://org/name"}));
  EXPECT_EQ(hub_.hub().requests("GET").size(), before) << "what is there is not fetched again";
  EXPECT_EQ(hub_.store().requests("GET").size(), 1u);
}

// As on a file system that has no links.
TEST_F(Download, LeavesFilesThatAreNoLinks) {
  fs::create_directories(snapshot_);
  for (const auto& [file, content] : hub_.files) write_text(snapshot_ / file, content);
  EXPECT_EQ(download({"org/name"}).exit_code, 0);
  for (const auto& [file, content] : hub_.files) EXPECT_FALSE(fs::is_symlink(snapshot_ / file));
  EXPECT_TRUE(hub_.store().requests("GET").empty());
}

TEST_F(Download, TakesShardsByTheirIndex) {
  hub_.files.erase("model.safetensors");
  hub_.files["model.safetensors.index.json"] =
      R"({"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors", "c": "model-1.safetensors"}})";
  hub_.files["model-1.safetensors"] = "one";
  fails(download({"org/name"}), 3, {"1 of 2"});
  EXPECT_FALSE(fs::exists(repository_ / "refs")) << "not before it is whole";
  hub_.files["model-2.safetensors"] = "two";
  is_whole(download({"org/name"}));
}

// Whose files have other names, one of them in folders.
TEST_F(Download, TakesAPresetOfKeras) {
  hub_.files = {{"config.json", R"({"class_name": "PaliGemmaBackbone"})"},
                {"tokenizer.json", "{}"},
                {"assets/tokenizer/vocabulary.spm", "words"},
                {"model.weights.json", R"({"weight_map": {"/a/vars": "m_0.weights.h5",
                                                          "/b/vars": ["m_1.weights.h5"]}})"},
                {"m_0.weights.h5", "one"},
                {"m_1.weights.h5", "two"}};
  is_whole(download({"org/name"}));
  EXPECT_EQ(fs::read_symlink(snapshot_ / "assets/tokenizer/vocabulary.spm"),
            "../../../../blobs/" + hub_.checksum("assets/tokenizer/vocabulary.spm"));
}

TEST_F(Download, TakesAnAdapterOfPeft) {
  hub_.files = {{"adapter_config.json", "{}"}, {"adapter_model.safetensors", "a and b"}};
  is_whole(download({"org/name"}));
}

TEST_F(Download, GoesWhereTheHubItselfSendsIt) {
  hub_.moves = true;
  is_whole(download({"org/name"}, {{"HF_TOKEN", kToken}}));
  EXPECT_EQ(hub_.hub().requests("GET")[0].path, "/moved/config.json");
  EXPECT_EQ(hub_.hub().requests("GET")[0].header("authorization"), "Bearer " + kToken);
}

TEST_F(Download, GoesOnWhereTheLineWasCut) {
  hub_.breaks_off_behind = 40000;
  is_whole(download({"org/name"}));
  EXPECT_EQ(ranges(), (std::vector<std::string>{"", "bytes=40000-", "bytes=80000-"}));
  EXPECT_EQ(hub_.store().requests("GET")[1].header("if-range"), "\"as-stored\"");
}

TEST_F(Download, GoesOnWhereAnotherRunStopped) {
  fs::create_directories(repository_ / "blobs");
  write_text(blob("model.safetensors").string() + ".00000000.incomplete", std::string(60000, 'w'));
  is_whole(download({"org/name"}));
  EXPECT_EQ(ranges(), std::vector<std::string>{"bytes=60000-"});
}

TEST_F(Download, StartsOverWhereThereAreNoRanges) {
  fs::create_directories(repository_ / "blobs");
  write_text(blob("model.safetensors").string() + ".00000000.incomplete", "old");
  hub_.knows_ranges = false;  // 200, and the whole file
  is_whole(download({"org/name"}));
  EXPECT_EQ(ranges(), (std::vector<std::string>{"bytes=3-", ""}));
}

TEST_F(Download, StartsOverWhereARangeIsRefused) {
  fs::create_directories(repository_ / "blobs");
  write_text(blob("model.safetensors").string() + ".00000000.incomplete", "old");
  hub_.refuses_ranges = true;  // 416
  is_whole(download({"org/name"}));
  EXPECT_EQ(ranges(), (std::vector<std::string>{"bytes=3-", ""}));
}

TEST_F(Download, GivesUpWhereNothingComes) {
  hub_.sends_nothing = true;
  fails(download({"org/name"}), 1, {"config.json: 0 of 2 bytes have come", "try again"});
  hub_.sends_nothing = false;
  hub_.breaks_off_behind = 40000;
  hub_.refuses_ranges = true;  // the same 40000 bytes again and again
  fails(download({"org/name"}), 1, {"model.safetensors", "of 100000 bytes have come"});
}

TEST_F(Download, BelievesNoWrongChecksum) {
  for (const auto& [file, digits] : {std::pair("config.json", 40), {"model.safetensors", 64}}) {
    hub_.checksums = {{file, std::string(static_cast<std::size_t>(digits), 'a')}};
    fails(download({"org/name"}), 1, {file, "checksum"});
    EXPECT_FALSE(fs::exists(snapshot_ / file));
    EXPECT_FALSE(fs::exists(blob(file)));
    EXPECT_FALSE(fs::exists(blob(file).string() + ".00000000.incomplete"));
    EXPECT_FALSE(fs::exists(repository_ / "refs/main"));
  }
}

TEST_F(Download, BelievesNoWrongSize) {
  hub_.bytes_too_many = -10;
  fails(download({"org/name"}), 1, {"model.safetensors", "longer"});
  hub_.bytes_too_many = 10;
  fails(download({"org/name"}), 1, {"100000 of 100010 bytes have come"});
  EXPECT_FALSE(fs::exists(snapshot_ / "model.safetensors"));
}

// What a hub says becomes part of paths.
TEST_F(Download, BelievesNoOddCommitOrChecksum) {
  hub_.commit = "../../../elsewhere";
  fails(download({"org/name"}), 1, {"commit"});
  hub_.commit = kCommit;
  for (const std::string& odd : std::vector<std::string>{"../x", "", std::string(41, 'a')}) {
    hub_.checksums = {{"config.json", odd}};
    fails(download({"org/name"}), 1, {"checksum"});
  }
  EXPECT_FALSE(fs::exists(folder_ / "hub"));
}

TEST_F(Download, ShowsTheTokenToTheHubAlone) {
  is_whole(download({"org/name"}, {{"HF_TOKEN", kToken}}));
  for (const char* method : {"HEAD", "GET"}) {
    for (const HttpRequest& request : hub_.hub().requests(method)) {
      EXPECT_EQ(request.header("authorization"), "Bearer " + kToken);
    }
  }
  ASSERT_EQ(hub_.store().requests("GET").size(), 1u);
  EXPECT_EQ(hub_.store().requests("GET")[0].headers.count("authorization"), 0u);
  EXPECT_FALSE(hub_.token_was_seen);
}

TEST_F(Download, TakesTheTokenThatTheHubsClientTakes) {
  fs::create_directories(folder_ / "home");
  write_text(folder_ / "home/token", kToken + "\n");
  write_text(folder_ / "other", kToken);
  hub_.refusal = {.status = 401};  // one request is enough
  for (const auto& environment : std::vector<std::map<std::string, std::string>>{
           {{"HF_TOKEN", kToken}, {"HUGGING_FACE_HUB_TOKEN", "hf_older"}},
           {{"HUGGING_FACE_HUB_TOKEN", kToken}, {"HF_HOME", folder_ / "home"}},
           {{"HF_TOKEN_PATH", folder_ / "other"}, {"HF_HOME", "/none"}},
           {{"HF_HOME", folder_ / "home"}}}) {
    fails(download({"org/name"}, environment), 3, {"401"});
    EXPECT_EQ(hub_.hub().requests("HEAD").back().header("authorization"), "Bearer " + kToken);
  }
}

TEST_F(Download, NeedsNoTokenWhereThereIsNone) {
  is_whole(download({"org/name"}));
  EXPECT_EQ(hub_.hub().requests("GET")[0].headers.count("authorization"), 0u);
}

TEST_F(Download, SaysWhyItWasRefused) {
  const std::map<std::string, std::string> with_token{{"HF_TOKEN", kToken}};
  hub_.refusal = {.status = 401};
  fails(download({"org/name"}), 3, {"org/name", "401", "HF_TOKEN"});
  hub_.refusal = {.status = 403, .headers = {{"X-Error-Code", "GatedRepo"}}};
  fails(download({"org/name"}, with_token), 3, {"403", "licence", hub_.address() + "/org/name"});
  hub_.refusal = {.status = 404, .headers = {{"X-Error-Code", "RepoNotFound"}}};
  fails(download({"org/name"}), 3, {"no such model"});
  hub_.refusal = {.status = 404, .headers = {{"X-Error-Code", "RevisionNotFound"}}};
  fails(download({"org/name", "--revision=odd"}), 3, {"no revision odd"});
  hub_.refusal = {.status = 418};
  fails(download({"org/name"}), 1, {"418"});
  hub_.refusal = {.status = 302, .headers = {{"Location", "/elsewhere"}}};
  fails(download({"org/name"}), 1, {"commit"});
  hub_.refusal = {.status = 0};
  hub_.files.erase("model.safetensors");
  fails(download({"org/name"}), 3, {"no model.safetensors"});
  hub_.files.erase("config.json");
  fails(download({"org/name"}), 3, {"config.json"});
  fails(download({"org/name"}, {{"HF_ENDPOINT", "http://127.0.0.1:1"}}), 1, {"cannot be reached"});
}

TEST_F(Download, MakesNoRequestOffline) {
  for (const char* variable : {"HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"}) {
    fails(download({"org/name"}, {{variable, "1"}}), 1, {"HF_HUB_OFFLINE"});
  }
  EXPECT_TRUE(hub_.hub().requests("HEAD").empty());
  is_whole(download({"org/name"}, {{"HF_HUB_OFFLINE", "0"}}));
}

TEST_F(Download, RefusesWhatIsNoName) {
  for (const std::vector<std::string>& odd :
       std::vector<std::vector<std::string>>{{},
                                             {"name"},
                                             {"org/../name"},
                                             {"-/name"},
                                             {"org/name/more"},
                                             {"org/name", "org/more"},
                                             {"kaggle://keras/paligemma/keras/pali_gemma_3b_224"},
                                             {"org/name", "--revision"},
                                             {"org/name", "--revision", "../up"},
                                             {"org/name", "--revision=a b"},
                                             {"--help-me"}}) {
    fails(download(odd), 2, {});
  }
  fails(download({"org/name"}, {{"HF_TOKEN", kToken + "\"\nurl = x"}}), 2, {"token"});
  fails(download({"org/name"}, {{"HF_ENDPOINT", "ftp://x"}}), 2, {"HF_ENDPOINT"});
  EXPECT_TRUE(hub_.hub().requests("HEAD").empty());
  EXPECT_EQ(download({"--help"}).exit_code, 0);
}

// Its page is https://huggingface.co/google/paligemma-3b-mix-224.
TEST_F(Download, TakesAPresetsNameForGoogles) {
  EXPECT_EQ(download({"paligemma-3b-mix-224@bfloat16"}).exit_code, 0);
  EXPECT_EQ(hub_.hub().requests("HEAD")[0].path,
            "/google/paligemma-3b-mix-224/resolve/bfloat16/config.json");
  EXPECT_EQ(read_bytes(folder_ / "hub/models--google--paligemma-3b-mix-224/refs/bfloat16"),
            kCommit);
}

TEST_F(Download, FetchesOnceForTwoRunsAtOnce) {
  const std::string script = std::string(kSourceTree) + "/scripts/download.sh org/name";
  const Ran both = run_command(
      {"bash", "-c", script + " & " + script + " && wait $!"},
      {.environment = {
           {"HF_ENDPOINT", hub_.address()}, {"HF_HUB_CACHE", folder_ / "hub"}, {"no_proxy", "*"}}});
  EXPECT_EQ(both.exit_code, 0) << both;
  EXPECT_EQ(hub_.store().requests("GET").size(), 1u);
}

}  // namespace
}  // namespace paligemma
