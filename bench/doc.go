// Command bench shows what the runner costs, beside what people would use
// instead of it. `make bench` measures: the benchmarks of this folder (tag
// bench) run the released binary and its peers as processes of their own, which
// take turns, and write what they saw to build/bench/results.json. Then this
// command turns that file into the table and the plot of the guide
// "Benchmarks".
//
// What the parts of the runner cost by themselves is measured beside those
// parts, by ordinary Go benchmarks.
package main
