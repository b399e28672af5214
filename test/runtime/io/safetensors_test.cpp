// Safetensors: what is written is read back, and no lie of a header is believed.
#include "temporary.h"

#include "mpar/safetensors.h"

#include <gtest/gtest.h>

#include <cstring>

namespace {

using mpar::SafetensorsReader;

std::string file(const std::string &header, const std::string &data = "") {
  std::string length(8, '\0');
  for (int i = 0; i < 8; ++i)
    length[i] = static_cast<char>(header.size() >> (8 * i));
  return length + header + data;
}

std::string checkpoint_fails(const std::string &content) {
  test::TemporaryDirectory directory;
  std::string path = directory.write("m", content);
  return test::failure([&] { SafetensorsReader reader(path); }, path);
}

TEST(Safetensors, ReadsWhatItWrote) {
  test::TemporaryDirectory directory;
  float weights[] = {1, 2, 3, 4, 5, 6};
  double sums[] = {0.5};
  uint8_t flags[] = {1, 0, 1};
  mpar::SafetensorsContent content;
  content.metadata = {{"format", "pt"}, {"na\"me", "\n\\"}};
  content.tensors = {{"flags", "U8", {3}, flags},
                     {"w", "F32", {2, 3}, weights},
                     {"sum", "F64", {}, sums},
                     {"none", "F32", {0, 4}, nullptr}};
  std::string path = directory.path("m.safetensors");
  mpar::write_safetensors(path, content);
  EXPECT_EQ(1, directory.count());

  SafetensorsReader reader(path);
  ASSERT_EQ(4u, reader.tensors().size());
  EXPECT_EQ("\n\\", reader.metadata().at("na\"me"));
  EXPECT_EQ((std::vector<int64_t>{2, 3}), reader.tensors().at("w").shape);
  float read[6];
  reader.read(reader.tensors().at("w"), read);
  EXPECT_EQ(0, std::memcmp(weights, read, sizeof read));
  // The widest elements first, so that all are aligned.
  EXPECT_EQ(0, reader.tensors().at("sum").begin);
  EXPECT_EQ(32, reader.tensors().at("flags").begin);
}

TEST(Safetensors, RefusesTruncatedFilesAtEveryLength) {
  std::string whole =
      file(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", std::string(8, 'x'));
  EXPECT_EQ("", checkpoint_fails(whole));
  for (size_t length = 0; length < whole.size(); ++length)
    EXPECT_NE("", checkpoint_fails(whole.substr(0, length))) << length;
}

TEST(Safetensors, RefusesLyingHeaders) {
  std::string eight(8, 'x');
  EXPECT_EQ(
      ": a has 8 bytes, its shape 12",
      checkpoint_fails(file(R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})", eight)));
  EXPECT_EQ(
      ": the data of a lies outside the file",
      checkpoint_fails(file(R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,12]}})", eight)));
  EXPECT_EQ(
      ": the data of a lies outside the file",
      checkpoint_fails(file(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}})", eight)));
  EXPECT_EQ(": the data of b overlaps another tensor's",
            checkpoint_fails(file(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
                                  R"("b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
                                  eight)));
  EXPECT_EQ(
      ": the data of a leaves a gap before it",
      checkpoint_fails(file(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", eight)));
  EXPECT_EQ(
      ": 4 bytes after the last tensor",
      checkpoint_fails(file(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", eight)));
  EXPECT_EQ(
      ": a has a shape that no tensor has",
      checkpoint_fails(file(
          R"({"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,8]}})", eight)));
  EXPECT_EQ(
      ": a has the unknown type F31",
      checkpoint_fails(file(R"({"a":{"dtype":"F31","shape":[2],"data_offsets":[0,8]}})", eight)));
  EXPECT_NE(std::string::npos,
            checkpoint_fails(std::string("\xff\xff\xff\xff\xff\xff\xff\x7f", 8) + "{}")
                .find("truncated"));
}

TEST(Safetensors, RefusesHeadersThatAreNotTheFormats) {
  auto header = [](const std::string &text) {
    std::string message = checkpoint_fails(file(text));
    std::string start = ": not a safetensors file; its header: ";
    EXPECT_EQ(0u, message.find(start)) << message;
    return message.substr(std::min(message.size(), start.size()));
  };
  EXPECT_EQ("no opening brace", header("[]"));
  EXPECT_EQ("no opening brace", header(""));
  EXPECT_EQ("broken JSON at byte 2", header("{"));
  EXPECT_EQ("broken JSON at byte 3", header("{}}"));
  std::string entry = R"({"dtype":"F32","shape":[0],"data_offsets":[0,0]})";
  EXPECT_EQ("the name a twice", header("{\"a\":" + entry + ",\"a\":" + entry + "}"));
  EXPECT_EQ("a has shape twice", header(R"({"a":{"shape":[0],"shape":[0]}})"));
  EXPECT_EQ("a lacks one of dtype, shape and data_offsets", header(R"({"a":{"shape":[0]}})"));
  EXPECT_EQ("a has an unknown entry x", header(R"({"a":{"x":[0]}})"));
  EXPECT_EQ("a has no two data_offsets",
            header(R"({"a":{"dtype":"F32","shape":[0],"data_offsets":[0]}})"));
  EXPECT_EQ("a has more than two data_offsets",
            header(R"({"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0,0]}})"));
  EXPECT_EQ("a negative number", header(R"({"a":{"shape":[-1]}})"));
  EXPECT_EQ("a fraction", header(R"({"a":{"shape":[1.5]}})"));
  EXPECT_EQ("a null", header(R"({"a":null})"));
  EXPECT_EQ("a list where there is none", header(R"({"a":[[[[[[]]]]]]})"));
  EXPECT_EQ("a list where there is none", header(R"({"__metadata__":{"a":[]}})"));
  EXPECT_EQ("an object where there is none", header(R"({"a":{"shape":{}}})"));
  EXPECT_EQ("a text where there is none", header(R"({"a":{"shape":"x"}})"));
  EXPECT_EQ("a text where there is none", header(R"({"a":"x"})"));
}

} // namespace
