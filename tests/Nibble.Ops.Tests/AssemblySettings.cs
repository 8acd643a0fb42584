using Xunit.Sdk;
using Xunit.v3;

// A backend uses every core and serves one thread at a time.
[assembly: Parallelization(Mode = ParallelMode.None)]
