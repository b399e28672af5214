// Files are there whole or not at all.
#include "temporary.h"

#include "mpar/file.h"

#include <gtest/gtest.h>

#include <sys/stat.h>

namespace {

using mpar::OutputFile;

TEST(OutputFile, AppearsWhenItIsCommitted) {
  test::TemporaryDirectory directory;
  std::string path = directory.write("f", "old");
  std::string large(1 << 20, 'x');
  {
    OutputFile file(path);
    file.write("new ");
    file.write(large);
    EXPECT_EQ("old", test::read_file(path));
    file.write(" end");
    file.commit();
  }
  EXPECT_EQ("new " + large + " end", test::read_file(path));
  EXPECT_EQ(1, directory.count());
}

TEST(OutputFile, LeavesTheOldFileWithoutCommit) {
  test::TemporaryDirectory directory;
  std::string path = directory.write("f", "old");
  {
    OutputFile(path).write("new");
  }
  EXPECT_EQ("old", test::read_file(path));
  EXPECT_EQ(1, directory.count());
}

TEST(OutputFile, TakesOverThePartOfAKilledRun) {
  test::TemporaryDirectory directory;
  std::string path = directory.path("f");
  directory.write("f.part", std::string(1000, 'y'));
  OutputFile file(path);
  file.write("new");
  file.commit();
  EXPECT_EQ("new", test::read_file(path));
  EXPECT_EQ(1, directory.count());
}

TEST(OutputFile, RefusesASecondWriter) {
  test::TemporaryDirectory directory;
  std::string path = directory.path("f");
  OutputFile first(path);
  first.write("first");
  EXPECT_EQ("cannot write " + path + ": another process is writing it",
            test::failure([&] { OutputFile second(path); }));
  first.commit();
  EXPECT_EQ("first", test::read_file(path));
  OutputFile third(path); // the first has let go of the name
}

TEST(OutputFile, FollowsALinkAndKeepsIt) {
  test::TemporaryDirectory directory;
  std::string path = directory.write("f", "old"), link = directory.path("link");
  ASSERT_EQ(0, symlink("f", link.c_str()));
  OutputFile file(link);
  file.write("new");
  file.commit();
  EXPECT_EQ("new", test::read_file(path));
  struct stat information;
  ASSERT_EQ(0, lstat(link.c_str(), &information));
  EXPECT_TRUE(S_ISLNK(information.st_mode));
}

TEST(OutputFile, NeverReplacesADevice) {
  OutputFile file("/dev/null");
  file.write("nothing");
  file.commit();
  struct stat information;
  ASSERT_EQ(0, stat("/dev/null", &information));
  EXPECT_TRUE(S_ISCHR(information.st_mode));
}

TEST(CheckWritable, SaysBeforeARunWhatWouldFailAfterIt) {
  test::TemporaryDirectory directory;
  mpar::check_writable(directory.path("f"));
  EXPECT_EQ(0, directory.count());
  std::string inside = directory.write("f", "") + "/g";
  EXPECT_EQ("cannot write " + inside + ": Not a directory",
            test::failure([&] { mpar::check_writable(inside); }));
}

} // namespace
