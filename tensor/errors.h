// What can be wrong with the world outside: files, pictures, prompts. (A caller's own mistake is a
// ContractError, tensor/check.h.) Each type has an exit code, given by cli/ alone.
#pragma once

#include <stdexcept>
#include <string>

namespace paligemma {

// Something that was named is not there: a model, a tokenizer.
struct NotFoundError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// A file of a model is there and is not what it should be. The message names the file, what was
// expected and what was found.
struct ModelFileError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// A picture cannot be read.
struct ImageError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// A prompt cannot be answered: not UTF-8, or too long.
struct PromptError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

}  // namespace paligemma
