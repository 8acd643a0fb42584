using Nibble.Bench;

return args switch
{
    ["gemm", .. var rest] => GemmSuite.Run(rest),
    ["step", .. var rest] => StepSuite.Run(rest),
    _ => Usage(),
};

static int Usage()
{
    Console.Error.WriteLine("usage: Nibble.Bench gemm|step [folder for the report]");
    return 2;
}
