#include "cli/pictures_ahead.h"

#include <algorithm>
#include <new>

namespace paligemma::cli {

PicturesAhead::PicturesAhead(std::function<std::optional<Job>()> next,
                             std::function<JobPicture(const std::filesystem::path&)> read,
                             std::size_t ahead, std::size_t kept)
    : next_(std::move(next)), read_(std::move(read)), ahead_(ahead), kept_(kept) {
  thread_ = std::thread([this] { run(); });
}

PicturesAhead::~PicturesAhead() {
  {
    const std::lock_guard lock(mutex_);
    nobody_waits_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

std::optional<JobWithPictures> PicturesAhead::take(bool waits) {
  std::unique_lock lock(mutex_);
  if (waits) changed_.wait(lock, [&] { return is_over_ || !ready_.empty(); });
  if (ready_.empty()) {
    if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
    return std::nullopt;
  }
  JobWithPictures job = std::move(ready_.front());
  ready_.pop_front();
  changed_.notify_all();
  return job;
}

void PicturesAhead::run() {
  std::exception_ptr failure;
  try {
    while (std::optional<Job> job = next_()) {
      std::vector<std::shared_ptr<JobPicture>> pictures;
      try {
        if (job->error.empty()) {
          for (const auto& file : job->files) pictures.push_back(picture_of(file));
        }
      } catch (const std::bad_alloc&) {
        job->error = "no memory for these pictures";
      } catch (const std::exception& error) {
        job->error = error.what();
      }
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return nobody_waits_ || ready_.size() < ahead_; });
      if (nobody_waits_) return;
      ready_.push_back({std::move(*job), std::move(pictures)});
      changed_.notify_all();
    }
  } catch (...) {
    failure = std::current_exception();
  }
  const std::lock_guard lock(mutex_);
  failure_ = failure;
  is_over_ = true;
  changed_.notify_all();
}

std::shared_ptr<JobPicture> PicturesAhead::picture_of(const std::filesystem::path& file) {
  const auto found = std::find_if(pictures_.begin(), pictures_.end(),
                                  [&](const auto& picture) { return picture.first == file; });
  if (found != pictures_.end()) {
    pictures_.splice(pictures_.begin(), pictures_, found);
  } else {
    pictures_.emplace_front(file, std::make_shared<JobPicture>(read_(file)));
    if (pictures_.size() > kept_) pictures_.pop_back();
  }
  return pictures_.front().second;
}

}  // namespace paligemma::cli
