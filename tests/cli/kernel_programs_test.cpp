// Going on as the program that has the kernels. Scripts stand for those programs: they say what they were
// started with, and pass on their input.
#include <dlfcn.h>
#include <omp.h>

#include "tests/support/run_program.h"
#include "tests/support/source_dir.h"

namespace paligemma {
namespace {

using namespace test;
namespace fs = std::filesystem;
using Words = std::vector<std::string>;

const Words kQuestion{"--image", source_dir() + "/examples/pictures/scene.png", "-p", "ocr"};

Words with(Words a, const Words& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

// This program, in a folder where others may stand beside it.
class KernelPrograms : public ::testing::Test {
 protected:
  KernelPrograms() {
    fs::copy_file(program(), paligemma());
    // Any library will do for a driver that is only looked for.
    Dl_info openmp;
    ::dladdr(reinterpret_cast<const void*>(&::omp_get_max_threads), &openmp);
    fs::create_symlink(fs::canonical(openmp.dli_fname), folder_ / "libcuda.so.1");
  }

  fs::path paligemma() const { return folder_ / "paligemma"; }

  void add(const std::string& name) const {
    write_text(folder_ / name, "#!/bin/sh\n[ \"$*\" = --list-devices ] && echo cpu && echo " +
                                   name + " device && exit\necho " + name + ": \"$@\"\ncat\n");
    fs::permissions(folder_ / name, fs::perms::owner_all);
  }

  Ran run(const Words& arguments, const Surroundings& around = {}) const {
    return run_command(with({paligemma()}, arguments), around);
  }
  Ran run_with_driver(const Words& arguments) const {
    return run(arguments, {.environment = {{"LD_LIBRARY_PATH", folder_.path()}}});
  }

  const TemporaryFolder folder_;
};

TEST_F(KernelPrograms, GetTheSameArgumentsAndInput) {
  add("paligemma_cuda");
  add("paligemma_emulated");
  const Ran cuda =
      run({"answer", "-", "what is it", "--device=cuda:1"}, {.input = "a picture's bytes"});
  EXPECT_EQ(cuda.out, "paligemma_cuda: answer - what is it --device=cuda:1\na picture's bytes");
  EXPECT_EQ(cuda.exit_code, 0) << cuda;
  EXPECT_EQ(run({"eval", "--device", "cuda"}).out, "paligemma_cuda: eval --device cuda\n");
  EXPECT_EQ(run({"eval", "--device", "emulated"}).out,
            "paligemma_emulated: eval --device emulated\n");
}

TEST_F(KernelPrograms, ThatAreMissingAreNamed) {
  for (const std::string device : {"cuda", "cuda:1", "emulated"}) {
    const std::string name = "paligemma_" + device.substr(0, device.find(':'));
    for (const Words& command : {kQuestion, {"eval"}}) {
      EXPECT_TRUE(refuses(run(with(command, {"--device", device})), 1,
                          {"--device " + device, "--target " + name}));
    }
  }
}

TEST_F(KernelPrograms, ThatCannotBeStartedAreNamed) {
  write_text(folder_ / "paligemma_cuda", "");  // not even executable
  EXPECT_TRUE(
      refuses(run({"eval", "--device", "cuda"}), 1, {"paligemma_cuda", "cannot be started"}));
}

TEST_F(KernelPrograms, AnswerUnaskedWhereThereIsADriver) {
  const Words few{"eval", "--scenes", "1"};
  EXPECT_TRUE(run_with_driver(few).out.starts_with("1 scenes"));
  add("paligemma_cuda");
  EXPECT_EQ(run_with_driver(few).out, "paligemma_cuda: eval --scenes 1\n");
  EXPECT_TRUE(run_with_driver(kQuestion).out.starts_with("paligemma_cuda: --image"));
  for (const Words& cpu :
       std::vector<Words>{{"--device", "cpu"}, {"--reference"}, {"--kernels", "portable"}}) {
    EXPECT_TRUE(run_with_driver(with(few, cpu)).out.starts_with("1 scenes")) << cpu[0];
  }
}

TEST_F(KernelPrograms, AreOnlyForWhatRunsAModel) {
  add("paligemma_cuda");
  for (const Words& command : std::vector<Words>{{"tokenize", "x"}, {"inspect"}, {"scene"}}) {
    const Ran ran = run_with_driver(command);
    EXPECT_EQ(ran.exit_code, 0) << ran;
    EXPECT_EQ(ran.out.find("paligemma_cuda"), std::string::npos) << ran;
  }
  EXPECT_TRUE(refuses(run_with_driver({"bench", "--device", "cuda"}), 2, {"bench"}));
}

TEST_F(KernelPrograms, AreBesideTheProgramAndNotBesideItsLinks) {
  add("paligemma_cuda");
  const TemporaryFolder elsewhere;
  fs::create_symlink(paligemma(), elsewhere / "other");
  const Words eval{"eval", "--device", "cuda"};
  EXPECT_EQ(run_command(with({elsewhere / "other"}, eval)).out,
            "paligemma_cuda: eval --device cuda\n");
  // Whatever the program is told that it is called.
  const std::string lie = "exec -a " + (elsewhere / "other").string() + " \"$@\"";
  EXPECT_EQ(run_command(with({"bash", "-c", lie, "bash", paligemma()}, eval)).out,
            "paligemma_cuda: eval --device cuda\n");
}

TEST_F(KernelPrograms, ThatAreThisOneAreNone) {
  fs::create_symlink("paligemma", folder_ / "paligemma_cuda");
  fs::copy_file(paligemma(), folder_ / "paligemma_emulated");
  for (const std::string device : {"cuda", "emulated"}) {
    EXPECT_TRUE(refuses(run({"eval", "--device", device}), 1, {"paligemma_" + device}));
  }
}

TEST_F(KernelPrograms, ListTheirDevices) {
  EXPECT_EQ(run({"--list-devices"}).out, "cpu\n");
  add("paligemma_emulated");
  EXPECT_EQ(run({"--list-devices"}).out, "cpu\npaligemma_emulated device\n");
  add("paligemma_cuda");
  EXPECT_EQ(run({"--list-devices"}).out, "cpu\npaligemma_cuda device\npaligemma_emulated device\n");
}

}  // namespace
}  // namespace paligemma
