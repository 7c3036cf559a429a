#include "cli/hub_name.h"

#include <algorithm>
#include <cctype>
#include <string_view>

#include "cli/options.h"
#include "cli/picture_name.h"

namespace paligemma::cli {
namespace {

// Two names of letters, digits, '-', '_' and '.'.
bool is_repository_name(const std::string& text) {
  const auto slash = text.find('/');
  if (slash == 0 || slash == text.npos || slash + 1 == text.size()) return false;
  const auto is_allowed = [&](const char& c) {
    return std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_' || c == '.' ||
           &c == &text[slash];
  };
  return std::all_of(text.begin(), text.end(), is_allowed) && text[0] != '.' &&
         text.find("..") == text.npos;
}

// "refs/pr/1" is a revision of three names.
std::string first_revision(const std::string& path) {
  std::size_t end = path.find('/');
  for (int i = 0; path.starts_with("refs/") && i < 2 && end != path.npos; ++i) {
    end = path.find('/', end + 1);
  }
  return path.substr(0, end);
}

bool take_prefix(std::string& text, std::string_view prefix) {
  const bool has = text.starts_with(prefix);
  if (has) text.erase(0, prefix.size());
  return has;
}

HubName of_hf_address(const std::string& text, std::string path) {
  while (path.ends_with('/')) path.pop_back();
  const auto at = path.find('@');
  HubName model{path.substr(0, at), at == path.npos ? "" : percent_decoded(path.substr(at + 1))};
  if (is_repository_name(model.name)) return model;
  throw UsageError(text + ": must be hf://ORG/NAME or hf://ORG/NAME@REVISION");
}

// ORG/NAME, then perhaps /tree/REVISION, or /blob/REVISION/FILE.
HubName of_page(const std::string& text, std::string path) {
  path.resize(std::min(path.find_first_of("?#"), path.size()));
  while (path.ends_with('/')) path.pop_back();
  const auto slash = path.find('/', std::min(path.find('/'), path.size() - 1) + 1);
  HubName model{path.substr(0, slash), ""};
  std::string rest = slash == path.npos ? "" : path.substr(slash + 1);
  const bool is_model = !model.name.starts_with("datasets/") && !model.name.starts_with("spaces/");
  if (!is_model || !is_repository_name(model.name)) {
    throw UsageError(text + ": is not the page of a model");
  }
  for (const char* view : {"tree/", "blob/", "resolve/", "commit/"}) {
    if (take_prefix(rest, view)) model.revision = first_revision(percent_decoded(rest));
  }
  return model;
}

}  // namespace

std::optional<HubName> hub_name(const std::string& text) {
  std::string path = text;
  if (take_prefix(path, "hf://")) return of_hf_address(text, path);
  const bool is_address = take_prefix(path, "https://") || take_prefix(path, "http://");
  for (const char* host : {"huggingface.co/", "www.huggingface.co/", "hf.co/"}) {
    if (take_prefix(path, host)) return of_page(text, path);
  }
  if (is_address || !is_repository_name(text)) return std::nullopt;
  return HubName{text, ""};
}

}  // namespace paligemma::cli
