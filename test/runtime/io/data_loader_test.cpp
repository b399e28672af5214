// What a dataset is made of: counts, own targets, several inputs, NumPy shapes.
#include "temporary.h"

#include "mpar/data_loader.h"

#include <gtest/gtest.h>

#include <cstring>

namespace {

using mpar::Dataset;
using mpar::DataSource;
using mpar::ElementType;
using mpar::ModelDescription;

ModelDescription describe(std::vector<mpar::PortDescription> inputs, mpar::PortDescription target,
                          int64_t classes = 0) {
  ModelDescription description;
  description.name = "Net";
  description.inputs = std::move(inputs);
  description.target = std::move(target);
  description.classes = classes;
  return description;
}

std::string npy(const std::string &shape, size_t floats) {
  std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': " + shape + ", }\n";
  return std::string("\x93NUMPY\x01\0", 8) + static_cast<char>(header.size()) + '\0' + header +
         std::string(4 * floats, '\0');
}

class DataLoading : public testing::Test {
protected:
  std::string fails(DataSource source, const ModelDescription &model, bool needs_target = true) {
    return test::failure([&] { mpar::load_dataset(source, model, needs_target); },
                         directory.path(""));
  }
  DataSource csv(const std::string &content) {
    DataSource source;
    source.kind = DataSource::Kind::csv;
    source.path = directory.write("d.csv", content);
    return source;
  }
  DataSource arrays(const std::string &inputs, const std::string &targets = "") {
    DataSource source;
    source.kind = DataSource::Kind::npy;
    source.path = directory.write("x.npy", inputs);
    if (!targets.empty())
      source.targets = directory.write("t.npy", targets);
    return source;
  }
  test::TemporaryDirectory directory;
};

TEST_F(DataLoading, SplitsColumnsAmongInputsAndTarget) {
  ModelDescription model = describe({{"x", ElementType::f32, {2}},
                                     {"id", ElementType::i32, {}},
                                     {"mask", ElementType::boolean, {2}}},
                                    {"target", ElementType::f32, {1}});
  Dataset data = mpar::load_dataset(csv("0.5,1.5,7,1,0,9\n2,3,4,0,1,5\n"), model, true);
  mpar::DataLoader loader(data, 2, false);
  mpar::Generator generator;
  loader.start(generator);
  mpar::Batch batch = loader.batch(0);
  const float x[] = {0.5, 1.5, 2, 3}, target[] = {9, 5};
  const int32_t id[] = {7, 4};
  const bool mask[] = {true, false, false, true};
  EXPECT_EQ(0, std::memcmp(x, batch.inputs[0], sizeof x));
  EXPECT_EQ(0, std::memcmp(id, batch.inputs[1], sizeof id));
  EXPECT_EQ(0, std::memcmp(mask, batch.inputs[2], sizeof mask));
  EXPECT_EQ(0, std::memcmp(target, batch.target, sizeof target));
}

TEST_F(DataLoading, NamesWhatAFileHasAndWhatIsExpected) {
  ModelDescription model =
      describe({{"x", ElementType::f32, {2}}}, {"target", ElementType::f32, {1}});
  EXPECT_EQ("d.csv has 1 column; Net takes 2 inputs and 1 target", fails(csv("1\n"), model));
  EXPECT_EQ("d.csv has 2 columns; Net takes 2 inputs and 1 target; the targets are missing",
            fails(csv("1,2\n"), model));
  EXPECT_EQ("d.csv has 1 column; Net takes 2 inputs and 1 target; fields are separated by commas "
            "here, not by semicolons",
            fails(csv("1;2;3\n"), model));
  EXPECT_EQ("d.csv has 4 columns; Net takes 2 inputs and 1 target; fields are separated by commas "
            "here, not by semicolons",
            fails(csv("1,5;2,5;3,0\n"), model));
  EXPECT_EQ("d.csv has 1 column; Net takes 2 inputs and 1 target; fields are separated by commas "
            "here, not by tabs",
            fails(csv("1\t2\t3\n"), model));
  EXPECT_EQ("", fails(csv("1,2\n"), model, false));
  EXPECT_EQ("", fails(csv("1,2,3\n"), model, false));
  EXPECT_EQ("d.csv has 4 columns; Net takes 2 inputs and 1 target, or the 2 inputs alone",
            fails(csv("1,2,3,4\n"), model, false));
  DataSource asked = csv("1,2,3\n");
  asked.input_columns = 1;
  EXPECT_EQ("d.csv: 1 input asked for, Net takes 2", fails(asked, model));
  asked.input_columns = 2;
  asked.target_columns = 2;
  EXPECT_EQ("d.csv: 2 targets asked for, Net has 1", fails(asked, model));
}

TEST_F(DataLoading, InputsAloneAreTheirOwnTargetOnlyWhereTheyCanBe) {
  ModelDescription same =
      describe({{"x", ElementType::f32, {2}}}, {"target", ElementType::f32, {2}});
  Dataset data = mpar::load_dataset(csv("1,2\n"), same, true);
  EXPECT_EQ(data.inputs()[0].table, data.target()[0].table);
  ModelDescription classes =
      describe({{"x", ElementType::i32, {}}}, {"target", ElementType::i32, {}}, 3);
  EXPECT_EQ("d.csv has 1 column; Net takes 1 input and 1 target; the targets are missing",
            fails(csv("1\n"), classes));
}

TEST_F(DataLoading, TakesArraysOfThePortsShapeOrFlatOnes) {
  ModelDescription image =
      describe({{"x", ElementType::f32, {2, 3}}}, {"target", ElementType::f32, {1}});
  EXPECT_EQ("", fails(arrays(npy("(4, 2, 3)", 24), npy("(4,)", 4)), image));
  EXPECT_EQ("", fails(arrays(npy("(4, 6)", 24), npy("(4, 1)", 4)), image));
  EXPECT_EQ("x.npy has shape [4, 3, 2]; x takes [4, 2, 3]",
            fails(arrays(npy("(4, 3, 2)", 24), npy("(4,)", 4)), image));
  EXPECT_EQ("t.npy has shape [4, 2]; target takes [4, 1]",
            fails(arrays(npy("(4, 6)", 24), npy("(4, 2)", 8)), image));
  EXPECT_EQ("x.npy: no targets given, and the inputs cannot be the targets of Net",
            fails(arrays(npy("(4, 6)", 24)), image));
  std::string message = fails(arrays(npy("(4, 6)", 24), npy("(3,)", 3)), image);
  EXPECT_EQ(0u, message.find("t.npy has 3 rows, ")) << message;
}

TEST_F(DataLoading, TakesAnArrayForEachInput) {
  ModelDescription model = describe({{"a", ElementType::f32, {2}}, {"b", ElementType::f32, {3}}},
                                    {"target", ElementType::f32, {1}});
  DataSource source = arrays(npy("(4, 2)", 8), npy("(4,)", 4));
  EXPECT_EQ("x.npy: a NumPy file holds one input; Net takes 2, got 1 file", fails(source, model));
  source.more_paths = {directory.write("b.npy", npy("(4, 3)", 12))};
  EXPECT_EQ("", fails(source, model));
  Dataset data = mpar::load_dataset(source, model, true);
  EXPECT_EQ(2u, data.inputs().size());
  EXPECT_EQ(3, data.inputs()[1].width);
  source.more_paths = {directory.write("b.npy", npy("(5, 3)", 15))};
  std::string message = fails(source, model);
  EXPECT_NE(std::string::npos, message.find("b.npy has 5 rows, ")) << message;
}

TEST_F(DataLoading, TheLastRowsAreTheTestSet) {
  ModelDescription model =
      describe({{"x", ElementType::f32, {1}}}, {"target", ElementType::f32, {1}});
  Dataset data = mpar::load_dataset(csv("1\n2\n3\n4\n5\n6\n7\n8\n9\n"), model, true);
  auto [train, rest] = mpar::split_dataset(data, 0.25); // int(2.25)
  EXPECT_EQ(7, train.rows());
  EXPECT_EQ(2, rest.rows());
  EXPECT_EQ(7, rest.first());
  EXPECT_EQ(0, mpar::split_dataset(data, 0).second.rows());
  EXPECT_EQ(0, mpar::split_dataset(data, 1).first.rows());
}

} // namespace
