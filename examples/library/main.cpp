// Captions a picture: caption MODEL_FOLDER PICTURE
#include <iostream>

#include "paligemma/pipeline.h"

int main(int argc, char** argv) try {
  using namespace paligemma;
  if (argc != 3) return 2;
  const Pipeline<Reference> pipeline(reference, {.model = argv[1]});
  const auto picture = pipeline.encode(read_image(argv[2]).view());
  const Reply answer = pipeline.generate(picture, "caption en", {});
  std::cout << answer.text << "\n";
} catch (const std::exception& error) {
  std::cerr << error.what() << "\n";
  return 1;
}
