// Captions a picture: caption MODEL_FOLDER PICTURE
#include <paligemma/engine.h>

#include <exception>
#include <iostream>

int main(int argc, char** argv) try {
  if (argc != 3) return 2;
  auto engine = paligemma::Engine::open(argv[1]);
  std::cout << engine.answer(argv[2], "caption en").text << "\n";
} catch (const std::exception& error) {
  std::cerr << error.what() << "\n";
  return 1;
}
