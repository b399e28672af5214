// Whole runs of emitted programs, here of linear models: what they print, write and refuse.
#include "temporary.h"

#include "mpar/csv.h"
#include "mpar/safetensors.h"

#include <gtest/gtest.h>

#include <cmath>
#include <csignal>
#include <cstring>
#include <sys/wait.h>
#include <unistd.h>

namespace {

#include "golden_training.inc"

// The rows of golden_training.py.
std::string table(int columns, bool label = false, int rows = 43) {
  std::string text;
  for (int row = 0; row < rows; ++row) {
    for (int column = 0; column < columns; ++column) {
      int hundredths = (row * 131 + column * 57 + row * row * column % 97) % 401 - 200;
      text += (column ? "," : "") + mpar::shortest(hundredths / 100.0);
    }
    text += (label ? "," + std::to_string((row * 7 + row / 3) % 4) : "") + "\n";
  }
  return text;
}

struct Result {
  int status;
  std::string out, error;
};

class Program : public testing::Test {
protected:
  // Runs a model's program in the test's directory; `before` is put before it on the shell's line.
  Result run(const std::string &arguments, const std::string &before = "") {
    std::string command = "cd " + directory.path("") + " && " + before + LINEAR_PROGRAM " " +
                          arguments + " >" + streams.path("out") + " 2>" + streams.path("error");
    int status = std::system(command.c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, test::read_file(streams.path("out")),
            test::read_file(streams.path("error"))};
  }
  std::string read(const std::string &name) { return test::read_file(directory.path(name)); }

  // Runs and expects one line of error.
  void expect_error(int status, const std::string &message, const std::string &arguments) {
    Result result = run(arguments);
    EXPECT_EQ(status, result.status) << arguments;
    EXPECT_EQ("error: " + message + "\n", result.error) << arguments;
    EXPECT_EQ("", result.out) << arguments;
  }

  // Expects the printed numbers, `each` a line, to be PyTorch's.
  void expect_losses(const std::string &out, const double *expected, int lines, int each) {
    std::istringstream stream(out);
    std::string line;
    for (int i = 0; i < lines; ++i) {
      ASSERT_TRUE(std::getline(stream, line)) << out;
      EXPECT_EQ(0u, line.find("Epoch : " + std::to_string(i + 1) + " | train_Loss: ")) << line;
      std::istringstream parts(line.substr(line.find("train_Loss")));
      for (int k = 0; k < each; ++k) {
        std::string name, bar;
        double value;
        ASSERT_TRUE(parts >> name >> value) << line;
        EXPECT_NEAR(expected[i * each + k], value, 1e-5 * std::fabs(expected[i * each + k]))
            << line;
        parts >> bar;
      }
    }
    EXPECT_FALSE(std::getline(stream, line)) << line;
  }

  test::TemporaryDirectory directory;
  test::TemporaryDirectory streams;
};

TEST_F(Program, PrintsTheLossesOfPyTorch) {
  directory.write("data.csv", table(6));
  expect_losses(run("adam").out, adam_losses, 3, 2);
  expect_losses(run("momentum").out, momentum_losses, 3, 2);
  expect_losses(run("adam --shuffle false --batch 64").out, in_order_losses, 3, 2);
  directory.write("own.csv", table(3));
  expect_losses(run("adam --data own.csv").out, adam_own_target, 3, 2);
  directory.write("four.csv", "a,b,c,d\n" + table(4));
  expect_losses(run("regression --data four.csv").out, regression_losses, 3, 2);
  directory.write("classes.csv", table(3, true));
  expect_losses(run("classes --data classes.csv").out, classes_losses, 3, 3);
}

TEST_F(Program, PrintsOnlyTheTrainingLossWithoutTestData) {
  directory.write("data.csv", table(6, false, 4)); // a fifth of four rows is none
  std::string out = run("adam --epochs 1").out;
  EXPECT_EQ(0u, out.find("Epoch : 1 | train_Loss: ")) << out;
  EXPECT_EQ(std::string::npos, out.find("test")) << out;
}

TEST_F(Program, TestFileLeavesAllRowsToTraining) {
  directory.write("data.csv", table(6));
  ASSERT_EQ(0, run("adam --epochs 1 --test-data data.csv --dump-losses l.txt").status);
  std::string losses = read("l.txt");
  EXPECT_EQ(11, std::count(losses.begin(), losses.end(), '\n')); // 43 rows by 4
}

TEST_F(Program, TheLastOfTwoFlagsCounts) {
  directory.write("data.csv", table(6));
  Result result = run("adam --epochs 1 --betas 0.1,0.2 --epochs 3 --betas 0.9,0.999");
  expect_losses(result.out, adam_losses, 3, 2);
}

TEST_F(Program, IsQuietWhenAsked) {
  directory.write("data.csv", table(6));
  Result result = run("adam --quiet");
  EXPECT_EQ(0, result.status);
  EXPECT_EQ("", result.out + result.error);
}

TEST_F(Program, WritesHistoryAndPlot) {
  directory.write("data.csv", table(6));
  Result result = run("adam --lr 0.25 --history h.csv --plot p.svg");
  std::string expected = "epoch,train_loss,test_loss,lr\n";
  std::istringstream lines(result.out);
  for (std::string line; std::getline(lines, line);) {
    size_t bar = line.find(" | ");
    std::string rest = line.substr(bar + 3 + std::strlen("train_Loss: "));
    size_t second = rest.find(" | test_Loss: ");
    expected += line.substr(8, bar - 8) + "," + rest.substr(0, second) + "," +
                rest.substr(second + std::strlen(" | test_Loss: ")) + ",0.25\n";
  }
  EXPECT_EQ(expected, read("h.csv"));
  std::string svg = read("p.svg");
  EXPECT_EQ(0u, svg.find("<svg "));
  int circles = 0; // a point for each epoch and curve
  for (size_t at = 0; (at = svg.find("<circle", at)) != std::string::npos; ++at)
    ++circles;
  EXPECT_EQ(6, circles);
  directory.write("classes.csv", table(3, true));
  ASSERT_EQ(0, run("classes --data classes.csv --history h.csv").status);
  EXPECT_EQ(0u, read("h.csv").find("epoch,train_loss,test_loss,test_accuracy,lr\n1,"));
}

TEST_F(Program, WritesTheLearningRateOfEachEpochsLastStep) {
  directory.write("data.csv", table(6)); // 34 rows to train on: 5 steps of at most 8 an epoch
  ASSERT_EQ(0, run("rmsprop --lr 1 --epochs 4 --batch 8 --history h.csv").status);
  std::istringstream lines(read("h.csv"));
  std::string line;
  std::getline(lines, line);
  for (int epoch = 1; epoch <= 4; ++epoch) {
    ASSERT_TRUE(std::getline(lines, line));
    double lr = std::stod(line.substr(line.rfind(',') + 1));
    EXPECT_DOUBLE_EQ((1 + std::cos(3.14159265358979323846 * (5 * epoch - 1) / 20)) / 2, lr);
  }
}

TEST_F(Program, SavesLoadsAndPredicts) {
  directory.write("data.csv", table(6));
  directory.write("new.csv", "a,b,c\n0,0,0\n1,0,0\n");
  ASSERT_EQ(0, run("adam --save m --predict new.csv --output p1.csv").status);
  Result result = run("adam --load m --predict new.csv --output p2.csv");
  EXPECT_EQ(0, result.status) << result.error;
  EXPECT_EQ("", result.out); // nothing is trained
  EXPECT_EQ(read("p1.csv"), read("p2.csv"));

  mpar::SafetensorsReader saved(directory.path("m"));
  float bias[3], weight[9];
  saved.read(saved.tensors().at("layer.bias"), bias);
  saved.read(saved.tensors().at("layer.weight"), weight);
  std::string expected = "y1,y2,y3\n";
  for (int k = 0; k < 3; ++k)
    expected += mpar::shortest(bias[k]) + (k < 2 ? "," : "\n");
  for (int k = 0; k < 3; ++k)
    expected += mpar::shortest(weight[3 * k] + bias[k]) + (k < 2 ? "," : "\n");
  EXPECT_EQ(expected, read("p1.csv"));
  // The targets may be there too; many rows are more than a batch.
  ASSERT_EQ(0, run("adam --load m --predict data.csv --output p3.csv").status);
  std::string all = read("p3.csv");
  EXPECT_EQ(44, std::count(all.begin(), all.end(), '\n'));
}

TEST_F(Program, RefusesFilesOfAnotherModel) {
  directory.write("data.csv", table(6));
  directory.write("classes.csv", table(3, true));
  directory.write("four.csv", table(4));
  ASSERT_EQ(0, run("classes --data classes.csv --save c --checkpoint c.ckpt").status);
  expect_error(1,
               "c does not fit Line: layer.weight is [4, 3], expected [3, 3]; layer.bias is [4], "
               "expected [3]",
               "adam --load c");
  expect_error(1, "c.ckpt does not fit Line: layer.weight is F32[4, 3], expected F32[3, 3]",
               "adam --resume c.ckpt");
  expect_error(1, "c.ckpt is a checkpoint of a run with the optimizer adam; expected sgd",
               "momentum --resume c.ckpt");
  expect_error(1, "c.ckpt is a checkpoint, to be resumed; expected the parameters of Line",
               "adam --load c.ckpt");
  expect_error(1, "c is not a checkpoint; expected a file that --checkpoint wrote",
               "adam --resume c");
  expect_error(1,
               "four.csv has 4 columns; Line takes 3 inputs and 3 targets, or the 3 inputs alone",
               "adam --data four.csv");
  expect_error(1, "data.csv has 6 columns; Line takes 3 inputs and 1 target", "classes");
}

TEST_F(Program, SaysWrongUseInOneLine) {
  directory.write("data.csv", table(6));
  std::string help = " (--help says what there is)";
  expect_error(2, "The following argument was not expected: --nope" + help, "adam --nope");
  expect_error(2, "--epochs: expected a whole number from 0 on, got 1e3" + help,
               "adam --epochs 1e3");
  expect_error(2, "--epochs: expected a whole number from 0 on, got -1" + help, "adam --epochs -1");
  expect_error(2, "--batch: expected a whole number from 1 on, got 0" + help, "adam --batch 0");
  expect_error(2, "--lr: expected a number of at least 0, got -1" + help, "adam --lr -1");
  expect_error(2, "--lr: expected a number of at least 0, got nan" + help, "adam --lr nan");
  expect_error(2, "--betas: expected a number from 0 on and below 1, got 1" + help,
               "adam --betas 0.9,1");
  expect_error(2, "--momentum: the program was compiled for adam, which has none",
               "adam --momentum 0.9");
  expect_error(2, "--betas: the program was compiled for sgd, which has none",
               "momentum --betas 0.9,0.99");
  expect_error(2, "--alpha: the program was compiled for adam, which has none", "adam --alpha 0.9");
  expect_error(2, "--lr-decay: the program was compiled for rmsprop, which has none",
               "rmsprop --lr-decay 0.1");
  expect_error(2, "--momentum: the program was compiled for adagrad, which has none",
               "adagrad --momentum 0.1");
  expect_error(2, "--eps: the program was compiled for sgd, which has none", "momentum --eps 1");
  expect_error(2, "--clip-norm: the program was compiled without `clip_norm`",
               "adam --clip-norm 1");
  expect_error(2, "--loss-scale: the program has no gradients in f16", "adam --loss-scale 8");
  expect_error(2, "--clip-norm: the program was compiled without `clip_norm`",
               "adam --clip-norm 0");
  expect_error(2, "--momentum: the program was compiled for adam, which has none",
               "adam --momentum -1");
  expect_error(2, "--betas: the program was compiled for sgd, which has none",
               "momentum --betas 2,3");
  expect_error(2, "--schedule-steps: the program's learning rate has no schedule with a length",
               "adam --schedule-steps 10");
  expect_error(1, "the learning rate warms up for 1000 steps; its schedule has 30",
               "rmsprop --warmup 1000 --schedule-steps 30");
  expect_error(2, "--every goes with --checkpoint", "adam --every 3");
  expect_error(2, "--predict needs --output", "adam --predict data.csv");
  expect_error(2, "--load-layout goes with --load", "adam --load-layout gpt2");
  expect_error(2, "--load and --resume both say where to begin; give one",
               "adam --load a --resume b");
  expect_error(2,
               "--devices: `tpu`: no such device; expected `auto`, `cpu`, `cpu:K`, `cuda`, "
               "`cuda:K` or `rank:R`",
               "adam --devices tpu");
  EXPECT_EQ(0, run("adam --help").status);
  EXPECT_EQ(0u, run("adam --version").out.find("Line, compiled from line.mp by mparc "));
}

TEST_F(Program, WritesOverNothingThatItReadsOrWrites) {
  const std::string rows = table(6);
  directory.write("data.csv", rows);
  directory.write("new.csv", table(3));
  expect_error(2, "--save would write over the file of --data, data.csv", "adam --save data.csv");
  expect_error(2, "--history would write over the file of --data, ./data.csv",
               "adam --data ./data.csv --history data.csv");
  expect_error(2, "--output would write over the file of --predict, new.csv",
               "adam --predict new.csv --output ./new.csv");
  expect_error(2, "--plot would write over the file of --test-data, new.csv",
               "adam --test-data new.csv --plot new.csv");
  expect_error(2, "--checkpoint would write over the file of --save, m",
               "adam --save m --checkpoint x/../m");
  EXPECT_EQ(rows, read("data.csv"));
  EXPECT_EQ(0, run("adam --epochs 1 --save m --history /dev/null --plot /dev/null").status);
  EXPECT_EQ(0, run("adam --epochs 1 --load m --save m").status);
}

TEST_F(Program, SaysFailuresInOneLine) {
  directory.write("data.csv", table(6));
  expect_error(1,
               "data.csv is read as CSV, with the targets in its own columns: t.npy would not be "
               "read",
               "adam --data data.csv --targets t.npy");
  expect_error(1, "cannot read none.csv: No such file or directory", "adam --data none.csv");
  expect_error(1, "cannot read .: it is a directory", "adam --data .");
  expect_error(1, "cannot write no/m: No such file or directory", "adam --save no/m");
  expect_error(1, "cannot write .: it is a directory", "adam --save .");
  expect_error(1, "cannot write no/t: No such file or directory", "adam --trace no/t");
  expect_error(1, "cannot read none: No such file or directory", "adam --load none");
  directory.write("nan.csv", "1,2,3,4,5,6\n1,2,nan,4,5,6\n");
  expect_error(1, "nan.csv:2: column 3: \"nan\" is not a finite number", "adam --data nan.csv");
  directory.write("classes.csv", "1,2,3,1\n1,2,3,4\n");
  expect_error(1, "classes.csv:2: column 4: \"4\" is no class: expected 0 to 3",
               "classes --data classes.csv");
  Result result = run("adam --history /dev/full");
  EXPECT_EQ(1, result.status);
  EXPECT_EQ("error: cannot write /dev/full: No space left on device\n", result.error);
}

TEST_F(Program, StopsAtALossThatIsNoNumber) {
  directory.write("data.csv", table(6));
  directory.write("m", "as it was");
  Result result = run("momentum --lr 1e20 --save m --checkpoint c --dump-losses l");
  EXPECT_EQ(1, result.status);
  EXPECT_EQ(0u, result.error.find("error: epoch 1, step ")) << result.error;
  EXPECT_NE(std::string::npos, result.error.find(": the loss is ")) << result.error;
  EXPECT_EQ(1, std::count(result.error.begin(), result.error.end(), '\n'));
  EXPECT_EQ("as it was", read("m"));
  // A last step that breaks the parameters is not saved either.
  directory.write("two.csv", table(6, false, 2));
  expect_error(1, "epoch 1, step 1 of the run: layer.weight has values that are nan or infinite",
               "momentum --lr 1e39 --data two.csv --epochs 1 --save m");
  EXPECT_EQ("as it was", read("m"));
  EXPECT_EQ(3, directory.count()); // no other file was made
}

TEST_F(Program, ResumesExactlyFromAnyStep) {
  directory.write("data.csv", table(6));
  for (std::string model : {"adam", "momentum"}) {
    Result whole = run(model + " --epochs 4 --save whole --history whole.csv");
    // 35 rows are 9 batches: stopped between epochs, and after 5, 10, … steps by an early end.
    ASSERT_EQ(0, run(model + " --epochs 2 --checkpoint c").status);
    Result rest = run(model + " --epochs 4 --resume c --save resumed --history resumed.csv");
    EXPECT_EQ(read("whole"), read("resumed"));
    EXPECT_EQ(read("whole.csv"), read("resumed.csv"));
    EXPECT_EQ(whole.out.substr(whole.out.find("Epoch : 3")), rest.out);
    // What the checkpoint says stands without flags; a completed run is left as it is.
    Result again = run(model + " --resume c --save again");
    EXPECT_EQ("", again.out);
    EXPECT_EQ(0, again.status);
  }
}

TEST_F(Program, ResumesExactlyAfterBeingKilled) {
  directory.write("data.csv", table(6));
  std::string common = "adam --epochs 3000 --every 7 --checkpoint c ";
  Result whole = run("adam --epochs 3000 --save whole --history whole.csv");
  int kills = 0;
  for (int attempt = 0; attempt < 200; ++attempt) {
    bool begun = access(directory.path("c").c_str(), F_OK) == 0;
    std::string resume = begun ? "--resume c " : "";
    // SIGKILL after a few milliseconds, each time at another moment; `timeout` waits for the end.
    std::string limit =
        attempt < 60 ? "timeout --foreground -s KILL 0.0" + std::to_string(11 + attempt % 37) + " "
                     : "";
    Result part = run(common + resume + "--save resumed --history resumed.csv", limit);
    if (part.status == 0)
      break;
    if (part.status == 124) // it ended by itself just as `timeout` came
      continue;
    ASSERT_TRUE(part.status == -1 || part.status == 137) << part.status << ": " << part.error;
    EXPECT_EQ(std::string::npos, part.error.find("error:"))
        << part.error; // the shell says "Killed"
    ++kills;
  }
  EXPECT_GT(kills, 3);
  EXPECT_EQ(read("whole"), read("resumed"));
  EXPECT_EQ(read("whole.csv"), read("resumed.csv"));
  EXPECT_NE(0, access(directory.path("c.part").c_str(), F_OK));
}

TEST_F(Program, KeepsTheOldCheckpointWhereTheNewOneDoesNotFit) {
  directory.write("data.csv", table(6));
  ASSERT_EQ(0, run("adam --epochs 1 --checkpoint c").status);
  std::string old = read("c");
  // A limit on the size of files stands in for a full disk: `write` fails halfway.
  Result result = run("adam --epochs 2 --resume c --checkpoint c", "ulimit -f 1; ");
  EXPECT_EQ(1, result.status);
  EXPECT_EQ("error: cannot write c: File too large\n", result.error);
  EXPECT_EQ(old, read("c"));
  EXPECT_EQ(2, directory.count());
}

TEST_F(Program, RefusesToGoOnWithOtherRows) {
  directory.write("data.csv", table(6));
  ASSERT_EQ(0, run("adam --epochs 1 --checkpoint c").status);
  directory.write("short.csv", table(6, false, 20));
  expect_error(1, "c was begun with seed 0, which --seed cannot change",
               "adam --resume c --seed 1");
  EXPECT_EQ(0, run("adam --resume c --epochs 2 --data short.csv").status);
  // A first step into the distance leaves a checkpoint inside the epoch, the second has no loss.
  EXPECT_EQ(1, run("momentum --lr 1e20 --every 1 --checkpoint m").status);
  expect_error(1, "m stands inside an epoch in batches of 4 rows, which --batch cannot change",
               "momentum --resume m --batch 5");
  expect_error(1, "m stands inside an epoch, whose order --shuffle cannot change",
               "momentum --resume m --shuffle false");
  expect_error(1, "m stands inside an epoch of 35 rows; the data has 16",
               "momentum --resume m --data short.csv");
}

TEST_F(Program, DumpsLossesAndGradients) {
  directory.write("data.csv", table(6));
  ASSERT_EQ(0, run("adam --epochs 2 --dump-losses l --dump-gradients g").status);
  std::istringstream lines(read("l"));
  double sum = 0;
  int count = 0;
  for (float loss; lines >> loss; ++count)
    sum += count < 9 ? static_cast<double>(loss) : 0;
  EXPECT_EQ(18, count);
  EXPECT_NEAR(adam_losses[0], sum / 9, 1e-5);
  mpar::SafetensorsReader gradients(directory.path("g"));
  EXPECT_EQ((std::vector<int64_t>{3, 3}), gradients.tensors().at("layer.weight").shape);
}

} // namespace
