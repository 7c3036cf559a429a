// `completion-bash`: completions that bash accepts and that know every flag.
#include "tests/support/checkpoint_files.h"

namespace paligemma {
namespace {

using namespace test;

TEST(CompletionBash, IsAScriptThatBashAccepts) {
  const Ran ran = run_program({"completion-bash"});
  EXPECT_EQ(ran.exit_code, 0) << ran;
  EXPECT_EQ(ran.err, "");
  TemporaryFolder folder;
  write_text(folder / "completion", ran.out);
  const Ran checked = run_command({"bash", "-n", folder / "completion"});
  EXPECT_EQ(checked.exit_code, 0) << checked;
  EXPECT_EQ(checked.err, "");
}

TEST(CompletionBash, CompletesFlagsAndCommands) {
  TemporaryFolder folder;
  write_text(folder / "completion", run_program({"completion-bash"}).out);
  const auto completed = [&](const std::string& typed) {
    const std::string script = "source '" + (folder / "completion").string() +
                               "'; COMP_WORDS=(paligemma '" + typed +
                               "'); COMP_CWORD=1; _paligemma; echo \"${COMPREPLY[*]}\"";
    return run_command({"bash", "-c", script}).out;
  };
  EXPECT_EQ(completed("--max-t"), "--max-tokens\n");
  EXPECT_EQ(completed("--mask"), "--mask-decoder\n");
  EXPECT_EQ(completed("capt"), "caption\n");
  EXPECT_EQ(completed("train-"), "train-tiny\n");
  EXPECT_EQ(completed("photo"), "\n");  // then bash offers files
}

}  // namespace
}  // namespace paligemma
