// Jobs with their pictures, which another thread reads and makes ready while the model answers those before.
#pragma once

#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "cli/job.h"
#include "engine/any_pipeline.h"
#include "tensor/buffer.h"

namespace paligemma::cli {

// A file's picture. Jobs that name it one soon after another share it.
struct JobPicture {
  Index width, height;
  std::optional<Buffer<float, 3>> pixels;  // until it is encoded
  std::shared_ptr<const AnyPipeline::Picture> encoded = nullptr;
};

struct JobWithPictures {
  Job job;
  std::vector<std::shared_ptr<JobPicture>> pictures;  // none if the job has an error
};

class PicturesAhead {
 public:
  // `next` gives the jobs in their order and is called by the other thread, as `read` is, which throws what has a
  // message. A picture is there for all jobs that name it as long as no more than `kept` others were named since.
  PicturesAhead(std::function<std::optional<Job>()> next,
                std::function<JobPicture(const std::filesystem::path&)> read, std::size_t ahead,
                std::size_t kept);
  ~PicturesAhead();  // `next` must come back soon

  // The next job; nothing if there are no more or, where nobody waits, none yet. Throws what `next` throws.
  std::optional<JobWithPictures> take(bool waits);

 private:
  void run();
  std::shared_ptr<JobPicture> picture_of(const std::filesystem::path& file);

  const std::function<std::optional<Job>()> next_;
  const std::function<JobPicture(const std::filesystem::path&)> read_;
  const std::size_t ahead_, kept_;
  std::list<std::pair<std::filesystem::path, std::shared_ptr<JobPicture>>>
      pictures_;  // latest first

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<JobWithPictures> ready_;
  bool is_over_ = false, nobody_waits_ = false;
  std::exception_ptr failure_;
  std::thread thread_;
};

}  // namespace paligemma::cli
