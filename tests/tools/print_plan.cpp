// print_plan MODEL [ISA [THREADS [SIZE [PRECISION]]]]: what a run of a network does, stage by stage, and the memory that it takes.
#include <cstdio>
#include <cstdlib>
#include <exception>

#include "kernels/contracts.h"
#include "mnv2/isa.h"
#include "model/pairing.h"
#include "support/describe_plan.h"

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: print_plan MODEL [ISA [THREADS [SIZE [PRECISION]]]]\n");
    return 2;
  }
  try {
    const mnv2::Model model = mnv2::Model::load(argv[1]);
    const mnv2::Isa isa = argc > 2 ? mnv2::parse_isa(argv[2]) : mnv2::best_isa();
    const int threads = argc > 3 ? std::atoi(argv[3]) : 1;
    const int size = argc > 4 ? std::atoi(argv[4]) : model.preprocessing().crop;
    const mnv2::Precision precision = argc > 5 ? mnv2::parse_precision(argv[5]) : mnv2::Precision::float32;
    const mnv2::NetworkPlan plan =
        mnv2::make_plan(model.architecture(), mnv2::kernels::kernel_table(isa), size, size, precision,
                        choose_pairing(model, foretell_statistics(model)));
    std::fputs(mnv2::test::describe(plan, make_schedule(plan, threads)).c_str(), stdout);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "print_plan: %s\n", e.what());
    return 1;
  }
}
