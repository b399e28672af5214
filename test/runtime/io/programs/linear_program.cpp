// The programs that the tests run, kill and fill disks with: linear models under the runtime's own
// main. The first argument names the model.
#include "../linear_model.h"

#include <cstdio>
#include <string>

namespace {

mpar::ModelDescription description;

std::unique_ptr<mpar::Model> make(const mpar::Settings &settings) {
  return std::make_unique<test::LinearModel>(description, settings);
}

} // namespace

int main(int argc, char **argv) {
  std::string model = argc > 1 ? argv[1] : "";
  if (model == "adam")
    description = test::linear_description(3, 3, test::adam_settings(1e-2));
  else if (model == "momentum")
    description = test::linear_description(3, 3, test::sgd_settings(1e-2, 0.9));
  else if (model == "regression")
    description = test::linear_description(3, 1, test::sgd_settings(1e-2));
  else if (model == "rmsprop") {
    description = test::linear_description(
        3, 3, test::settings_of(mpar::OptimizerSettings::Kind::rmsprop, 1e-2));
    description.training.schedule.kind = mpar::LearningRateSchedule::Kind::cosine;
  } else if (model == "adagrad")
    description = test::linear_description(
        3, 3, test::settings_of(mpar::OptimizerSettings::Kind::adagrad, 1e-2));
  else if (model == "classes")
    description = test::linear_description(3, 4, test::adam_settings(1e-2), 4);
  else {
    std::fprintf(stderr, "which model?\n");
    return 3;
  }
  description.training.batch = 4;
  description.training.epochs = 3;
  description.training.data.kind = mpar::DataSource::Kind::csv;
  description.training.data.path = "data.csv";
  description.training.data.test = 0.2;
  argv[1] = argv[0];
  return mpar::run_program(argc - 1, argv + 1, description, make);
}
