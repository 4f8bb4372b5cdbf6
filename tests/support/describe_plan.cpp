#include "support/describe_plan.h"

#include <map>
#include <sstream>

#include "model/plan/stages.h"

namespace mnv2::test {
namespace {

class Writer {
 public:
  Writer(const NetworkPlan& plan, std::ostream& out) : plan_(plan), out_(out) {}

  void operator()(const RoundInputStage& s) {
    out_ << "round " << buffer_name(s.input) << " -> " << buffer_name(s.output);
  }
  void operator()(const StemStage& s) {
    out_ << "stem " << shape(plan_.stem.output) << panels(plan_.stem.panels) << " -> "
         << buffer_name(s.output);
  }
  void operator()(const BandsStage& s) {
    begin("bands", *s.block, s.input);
    out_ << " rows " << s.block->band_rows << " ring " << s.block->ring_rows << produced(*s.block)
         << projected(*s.block) << " -> " << buffer_name(s.output);
  }
  void operator()(const GroupsStage& s) {
    begin("groups", *s.block, s.input);
    out_ << " chunks " << s.block->chunks.size() << produced(*s.block) << projected(*s.block) << " -> "
         << buffer_name(s.block->groups() > 1 ? BufferId::sums : s.output);
  }
  void operator()(const HiddenStage& s) {
    begin("hidden", *s.block, s.input);
    out_ << produced(*s.block) << " -> " << buffer_name(s.output);
  }
  void operator()(const ProjectStage& s) {
    begin("project", *s.block, s.filtered);
    out_ << projected(*s.block) << residual(*s.block, s.input) << " -> " << buffer_name(s.output);
  }
  void operator()(const MergeStage& s) {
    begin("merge", *s.block, BufferId::sums);
    out_ << residual(*s.block, s.input) << " -> " << buffer_name(s.output);
  }
  void operator()(const PrepareHeadStage& s) {
    out_ << "prepare head " << plan_.tail.prepare->name << ' ' << buffer_name(s.input) << " -> "
         << buffer_name(BufferId::prepared_head);
  }
  void operator()(const TailStage& s) {
    Panels head;
    if (plan_.tail.head != nullptr)
      for (const TailStep& step : plan_.tail.steps) head.push_back(step.head);
    out_ << "tail " << buffer_name(s.input) << ' ' << shape(plan_.tail.input) << panels(head) << " -> "
         << buffer_name(BufferId::features) << ' ' << plan_.tail.features;
    if (plan_.tail.classifier != nullptr) out_ << ", " << buffer_name(BufferId::logits);
  }
  void operator()(const DenseStage& s) {
    out_ << "dense " << buffer_name(s.input) << ' ' << s.dense->layer->in_c << panels(s.dense->panels)
         << " -> " << buffer_name(s.output) << ' ' << s.dense->layer->out_c;
  }
  void operator()(const LogitsStage&) { out_ << "logits " << plan_.tail.classifier->out_c; }

 private:
  void begin(const char* stage, const BlockPlan& b, BufferId input) {
    out_ << stage << ' ' << &b - plan_.blocks.data() << ' ' << buffer_name(input) << ' ' << shape(b.input)
         << " -> " << b.block->depthwise.out_c << " -> " << shape(b.output);
  }
  static std::string shape(const TensorPlan& t) {
    std::ostringstream text;
    text << t.c << 'x' << t.h << 'x' << t.w << (t.padded_columns ? "+" : "");
    return text.str();
  }
  static std::string produced(const BlockPlan& b) {
    if (b.source == RowSource::input) return "";
    Panels all;
    for (const ChunkPlan& chunk : b.chunks) all.insert(all.end(), chunk.produce.begin(), chunk.produce.end());
    return (b.source == RowSource::stem ? " stem" : " expand") + panels(all);
  }
  static std::string projected(const BlockPlan& b) { return " project" + panels(b.chunks.front().project); }
  static std::string residual(const BlockPlan& b, BufferId input) {
    return b.block->residual ? std::string(" + ") + buffer_name(input) : "";
  }
  /// How many panels of each format.
  static std::string panels(const Panels& panels) {
    std::map<std::string, int> counts;
    for (const Panel& panel : panels) ++counts[panel.format->name];
    std::string text;
    for (const auto& [name, count] : counts) text += ' ' + name + '*' + std::to_string(count);
    return text;
  }

  const NetworkPlan& plan_;
  std::ostream& out_;
};

}  // namespace

std::string describe(const NetworkPlan& plan, const Schedule& schedule) {
  std::ostringstream out;
  for (const Step& step : schedule.steps) {
    std::visit(Writer(plan, out), step.stage);
    out << " | " << step.units << " in " << step.parts << '\n';
  }
  for (int i = 0; i < kBuffers; ++i) {
    const auto id = static_cast<BufferId>(i);
    if (schedule.memory.bytes(id) > 0)
      out << buffer_name(id) << ' ' << schedule.memory.bytes(id) << (is_per_thread(id) ? " each\n" : "\n");
  }
  out << "memory " << schedule.memory.total() << " weights " << plan.arena_bytes << '\n';
  return out.str();
}

}  // namespace mnv2::test
