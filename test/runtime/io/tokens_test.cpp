// Texts and token files: windows, targets, and what is refused.
#include "temporary.h"

#include "mpar/data_loader.h"

#include <gtest/gtest.h>

#include <cstring>

namespace {

using mpar::Dataset;
using mpar::DataSource;
using mpar::ElementType;

mpar::ModelDescription describe(int64_t context, int64_t classes = 256) {
  mpar::ModelDescription model;
  model.name = "Net";
  model.inputs = {{"text", ElementType::i32, {context}}};
  model.target = {"target", ElementType::i32, {context}};
  model.classes = classes;
  return model;
}

template <typename T> std::string bytes_of(const std::vector<T> &values) {
  std::string bytes(values.size() * sizeof(T), '\0');
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

std::string npy(const std::string &type, const std::string &shape, const std::string &data) {
  std::string header =
      "{'descr': '" + type + "', 'fortran_order': False, 'shape': " + shape + "}\n";
  return std::string("\x93NUMPY\x01\0", 8) + static_cast<char>(header.size()) + '\0' + header +
         data;
}

class TokenData : public testing::Test {
protected:
  DataSource text(const std::string &content) {
    DataSource source;
    source.kind = DataSource::Kind::text;
    source.path = directory.write("a.txt", content);
    return source;
  }
  DataSource tokens(const std::string &name, const std::string &content,
                    DataSource::Token token = DataSource::Token::u16) {
    DataSource source;
    source.kind = DataSource::Kind::tokens;
    source.path = directory.write(name, content);
    source.token = token;
    return source;
  }
  std::string fails(const DataSource &source, const mpar::ModelDescription &model,
                    bool needs_target = true) {
    return test::failure([&] { mpar::load_dataset(source, model, needs_target); },
                         directory.path(""));
  }
  // All tokens of a file, read as windows of one.
  std::vector<int32_t> read(const DataSource &source) {
    mpar::Tokens file(source);
    std::vector<int32_t> values(static_cast<size_t>(file.count()));
    file.read(0, file.count(), values.data());
    return values;
  }
  test::TemporaryDirectory directory;
};

std::vector<int32_t> integers(const void *values, size_t count) {
  const auto *first = static_cast<const int32_t *>(values);
  return {first, first + count};
}

TEST_F(TokenData, GivesWindowsAndTheNextBytes) {
  Dataset rows = mpar::load_dataset(text("abcdefg\xff"), describe(3), true);
  ASSERT_EQ(2, rows.rows());
  mpar::DataLoader loader(rows, 2, false);
  mpar::Generator generator;
  loader.start(generator);
  mpar::Batch batch = loader.batch(0);
  EXPECT_EQ(integers(batch.inputs[0], 6), (std::vector<int32_t>{97, 98, 99, 100, 101, 102}));
  EXPECT_EQ(integers(batch.target, 6), (std::vector<int32_t>{98, 99, 100, 101, 102, 103}));
}

TEST_F(TokenData, TakesTheLastWindowOnlyWithItsNextByte) {
  EXPECT_EQ(1, mpar::load_dataset(text("abcdef"), describe(3), true).rows());
  EXPECT_EQ(2, mpar::load_dataset(text("abcdefg"), describe(3), true).rows());
  EXPECT_EQ(2, mpar::load_dataset(text("abcdef"), describe(3), false).rows());
}

TEST_F(TokenData, ShufflesRowsAsTables) {
  std::string content;
  for (int i = 0; i < 200; ++i)
    content += static_cast<char>(i);
  auto [first, last] =
      mpar::split_dataset(mpar::load_dataset(text(content), describe(4), true), 0.25);
  EXPECT_EQ(37, first.rows());
  EXPECT_EQ(12, last.rows());
  mpar::DataLoader loader(first, 37, true);
  mpar::Generator generator(5), same(5);
  loader.start(generator);
  same.random_int64();
  auto order = mpar::Generator(static_cast<uint64_t>(same.random_int64())).permutation(37);
  mpar::Batch batch = loader.batch(0);
  for (int i = 0; i < 37; ++i)
    EXPECT_EQ(integers(batch.inputs[0], 148)[4 * i], 4 * order[i]);
}

TEST_F(TokenData, ReadsEveryKindOfNumber) {
  const std::vector<int32_t> expected = {1, 2, 200};
  auto narrow = bytes_of(std::vector<uint8_t>{1, 2, 200});
  auto middle = bytes_of(std::vector<uint16_t>{1, 2, 200});
  auto wide = bytes_of(std::vector<int32_t>{1, 2, 200});
  auto widest = bytes_of(std::vector<int64_t>{1, 2, 200});
  EXPECT_EQ(expected, read(tokens("a.bin", narrow, DataSource::Token::u8)));
  EXPECT_EQ(expected, read(tokens("a.bin", middle)));
  EXPECT_EQ(expected, read(tokens("a.bin", wide, DataSource::Token::i32)));
  EXPECT_EQ(expected, read(tokens("a.npy", npy("|u1", "(3,)", narrow))));
  EXPECT_EQ(expected, read(tokens("a.npy", npy("<u2", "(3,)", middle))));
  EXPECT_EQ(expected, read(tokens("a.npy", npy("<u4", "(3,)", wide))));
  EXPECT_EQ(expected, read(tokens("a.npy", npy("<i4", "(3,)", wide))));
  EXPECT_EQ(expected, read(tokens("a.npy", npy("<i8", "(3,)", widest))));
}

TEST_F(TokenData, MakesNumbersBeyondI32NoToken) {
  auto wide = bytes_of(std::vector<uint32_t>{7, 4000000000u});
  EXPECT_EQ((std::vector<int32_t>{7, -1}), read(tokens("a.npy", npy("<u4", "(2,)", wide))));
  auto widest = bytes_of(std::vector<int64_t>{int64_t(1) << 40, -8});
  EXPECT_EQ((std::vector<int32_t>{-1, -8}), read(tokens("a.npy", npy("<i8", "(2,)", widest))));
}

TEST_F(TokenData, RefusesTooLittle) {
  EXPECT_EQ("a.txt is empty", fails(text(""), describe(3)));
  EXPECT_EQ("a.txt has 3 tokens; Net takes rows of 3 and the next one",
            fails(text("abc"), describe(3)));
  EXPECT_EQ("a.txt has 1 token; Net takes rows of 3", fails(text("a"), describe(3), false));
  EXPECT_EQ("a.bin is empty", fails(tokens("a.bin", ""), describe(3)));
  EXPECT_EQ("a.npy is empty", fails(tokens("a.npy", npy("<u2", "(0,)", "")), describe(3)));
}

TEST_F(TokenData, RefusesWhatIsNoSequence) {
  EXPECT_EQ("a.bin has 3 bytes, which are no tokens of 2 bytes each",
            fails(tokens("a.bin", "abc"), describe(1)));
  EXPECT_EQ("a.npy: elements of type <f4 are no tokens; expected u1, u2, u4, i4 or i8, "
            "little-endian",
            fails(tokens("a.npy", npy("<f4", "(1,)", "1234")), describe(1)));
  EXPECT_EQ("a.npy: tokens are an array of one dimension, this has 2",
            fails(tokens("a.npy", npy("<i4", "(1, 1)", "1234")), describe(1)));
  EXPECT_EQ("a.npy: the file has 4 bytes of data, which is not what its header says",
            fails(tokens("a.npy", npy("<i4", "(2,)", "1234")), describe(1)));
  DataSource folder = text("a");
  folder.path = directory.path(".");
  EXPECT_EQ("cannot read .: it is a directory", fails(folder, describe(1)));
}

TEST_F(TokenData, RefusesAModelOfOtherRows) {
  auto model = describe(3);
  model.inputs[0].type = ElementType::f32;
  EXPECT_EQ("a.txt: text gives rows of i32, which is not what Net takes",
            fails(text("abcdef"), model));
  model = describe(3);
  model.target.shape = {};
  EXPECT_EQ("a.txt: the next tokens are not what Net has for a target",
            fails(text("abcdef"), model));
  DataSource source = text("abcdef");
  source.context = 2;
  EXPECT_EQ("a.txt: rows of 2 tokens asked for, Net takes 3", fails(source, describe(3)));
}

TEST_F(TokenData, RefusesBytesThatAreNoClass) {
  EXPECT_EQ("a.txt: byte 2 is 200, which is no class: expected 0 to 127", fails(text("ab\xc8"
                                                                                     "def"),
                                                                                describe(3, 128)));
  EXPECT_EQ("", fails(text("ab\x7f"
                           "def"),
                      describe(3, 128)));
}

} // namespace
