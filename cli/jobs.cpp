// Many pictures and prompts: the lines of --jsonl, or a folder's pictures with one prompt.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <iostream>
#include <map>
#include <set>

#include "cli/answers_file.h"
#include "cli/commands.h"
#include "cli/job_sources.h"
#include "cli/objects.h"
#include "cli/opened_model.h"
#include "cli/outputs.h"
#include "cli/pictures_ahead.h"
#include "cli/reply_json.h"
#include "processing/detections.h"
#include "tensor/paths.h"
#include "tensor/utf8.h"

namespace paligemma::cli {
namespace {

namespace fs = std::filesystem;

constexpr Index kAtOnce = 8;  // weights are read once for so many tokens

// "a\tb" for a name or an answer in a column of its own.
std::string in_a_column(std::string_view text) {
  std::string safe;
  for (const char c : text) {
    const char* escaped = c == '\t'   ? "\\t"
                          : c == '\n' ? "\\n"
                          : c == '\r' ? "\\r"
                          : c == '\\' ? "\\\\"
                                      : nullptr;
    if (escaped != nullptr) {
      safe += escaped;
    } else {
      safe += c;
    }
  }
  return safe;
}

class Run {
 public:
  Run(const Options& options, Jobs& jobs, AnswersFile* file)
      : options_(options),
        jobs_(jobs),
        file_(file),
        progress_(options.verbosity >= 1),
        model_(options, progress_),
        how_(options.reply(model_.pipeline->config())),
        at_once_(options.batch.value_or(kAtOnce)),
        count_(progress_.is_wanted() ? jobs.count() : 0),
        failed_(file == nullptr ? 0 : file->errors()),
        failed_before_(failed_) {
    print_notes(options_, model_.notes);
  }

  int all() {
    const Config& config = model_.pipeline->config();
    const std::size_t bytes =
        sizeof(float) * static_cast<std::size_t>(config.vision.patches() * config.text.width);
    constexpr std::size_t kBytesOfPictures = 1 << 28;
    const auto at_once = static_cast<std::size_t>(at_once_);
    PicturesAhead ahead([&] { return jobs_.next(); },
                        [&](const fs::path& path) { return read(path); }, 2 * at_once,
                        std::max(2 * at_once, kBytesOfPictures / bytes));
    struct Stop {  // before `ahead` waits for its thread
      Jobs& jobs;
      ~Stop() { jobs.stop(); }
    } stop{jobs_};
    model_.pipeline->generate_all(at_once_, [&](bool waits) { return next(ahead, waits); });
    progress_.clear();
    print_notes(options_, {notes_.begin(), notes_.end()});
    if (failed_ == 0) return 0;
    std::fprintf(stderr, "paligemma: %td of %td failed%s\n", failed_, written_ + before(),
                 failed_before_ > 0 ? ", some in a run before" : "");
    return 1;
  }

 private:
  Index before() const { return file_ == nullptr ? 0 : file_->count(); }

  JobPicture read(const fs::path& path) const {
    const Config& config = model_.pipeline->config();
    const RgbImage image = read_image(path, options_.reading(config));
    return {image.view().size(1), image.view().size(0), vision_pixels(config, image.view())};
  }

  std::optional<AnyPipeline::Request> next(PicturesAhead& ahead, bool waits) {
    while (auto one = ahead.take(waits)) {
      const Index number = taken_++;
      const Job job = std::move(one->job);
      if (!job.error.empty()) {
        tell_error(number, job, job.error);
        continue;
      }
      Asked asked{{}, job.prompt};
      std::vector<const AnyPipeline::Picture*> pictures;
      for (std::size_t i = 0; i < one->pictures.size(); ++i) {
        JobPicture& picture = *one->pictures[i];
        if (!picture.encoded) {
          picture.encoded = std::make_shared<const AnyPipeline::Picture>(
              model_.pipeline->encode_pixels(picture.pixels->view(), {}));
          picture.pixels.reset();
        }
        asked.pictures.push_back({job.images[i], picture.width, picture.height});
        pictures.push_back(picture.encoded.get());
      }
      const auto seen =
          pictures.size() == 1
              ? one->pictures[0]->encoded
              : std::make_shared<const AnyPipeline::Picture>(model_.pipeline->together(pictures));
      ReplyOptions how = how_;
      if (job.max_tokens) how.max_tokens = job.max_tokens;
      return AnyPipeline::Request{
          seen, job.prompt, how,
          [this, number, job, asked](const Reply& reply) { tell(number, job, asked, reply); },
          [this, number, job](const PromptError& error) { tell_error(number, job, error.what()); }};
    }
    return std::nullopt;
  }

  bool has_lines() const { return !options_.jsonl.empty(); }

  void tell(Index number, const Job& job, const Asked& asked, const Reply& reply) {
    const AnyPipeline& pipeline = *model_.pipeline;
    if (!reply.note.empty()) notes_.insert(reply.note);
    if (!options_.json && !has_lines()) {
      const std::string text = text_of(options_, pipeline.tokenizer(), reply);
      return write(number, in_a_column(job.images[0]) + "\t" + in_a_column(text));
    }
    const auto detections = parse_detections(reply.text);
    std::vector<std::optional<Mask>> masks;
    if (pipeline.mask_decoder() && asked.pictures.size() == 1) {
      masks = masks_of(*pipeline.mask_decoder(), detections, asked.width(), asked.height());
    } else if (const std::string note = mask_decoder_note(detections); !note.empty()) {
      notes_.insert(note);
    }
    std::vector<Field> fields = named(job);
    const Json objects = objects_json(detections, masks, asked.width(), asked.height());
    const auto rest = reply_fields(options_, model_, asked, reply, objects);
    fields.insert(fields.end(), rest.begin(), rest.end());
    write(number, object(fields).text());
  }

  void tell_error(Index number, const Job& job, const std::string& error) {
    ++failed_;
    if (!options_.json && !has_lines()) {
      progress_.clear();
      std::fprintf(stderr, "paligemma: %s\n", printable(error).c_str());
      return write(number, in_a_column(job.images[0]) + "\t");
    }
    std::vector<Field> fields = named(job);
    if (!has_lines()) fields.push_back({"image", object({{"path", job.images[0]}})});
    fields.push_back({"error", error});
    write(number, object(fields).text());
  }

  static std::vector<Field> named(const Job& job) {
    std::vector<Field> fields;
    if (!job.id.empty()) fields.push_back({"id", Json::of_text(job.id)});
    fields.push_back({"line", job.line});
    return fields;
  }

  // In the order of the jobs: what is ready too soon waits.
  void write(Index number, std::string answer) {
    ready_[number] = std::move(answer);
    for (auto one = ready_.find(written_); one != ready_.end(); one = ready_.find(written_)) {
      progress_.clear();
      if (file_ != nullptr) {
        file_->add(one->second);
      } else {
        write_answer(options_, one->second + "\n");
      }
      ready_.erase(one);
      ++written_;
    }
    progress_.answered(written_ + before(), count_);
  }

  const Options& options_;
  Jobs& jobs_;
  AnswersFile* file_;
  Progress progress_;
  OpenedModel model_;
  ReplyOptions how_;
  Index at_once_, count_, taken_ = 0, written_ = 0, failed_, failed_before_;
  std::map<Index, std::string> ready_;
  std::set<std::string> notes_;
};

}  // namespace

bool asks_many(const Options& options) {
  return !options.jsonl.empty() || (options.images.size() == 1 && is_folder(options.images[0]));
}

int run_jobs(const Options& options) {
  const auto refuse = [](bool given, const char* flag) {
    if (given) throw UsageError(std::string(flag) + ": not for many pictures");
  };
  refuse(!options.output.empty(), "--output");
  refuse(!options.dump.empty(), "--dump");
  refuse(!options.trace.empty(), "--trace");
  refuse(options.perf, "--perf");
  if (options.jsonl.empty()) {
    if (!options.prompt) throw UsageError("a folder of pictures: give the prompt with -p");
    JobsOfFolder jobs(options.images[0], *options.prompt);
    return Run(options, jobs, nullptr).all();
  }
  const Shard shard(options.shard);
  std::optional<AnswersFile> file;
  if (!options.out.empty()) file.emplace(options.out);
  AnswersFile* answers = file ? &*file : nullptr;
  JobsOfLines jobs(options.jsonl, shard, answers);
  return Run(options, jobs, answers).all();
}

}  // namespace paligemma::cli
