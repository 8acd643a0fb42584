namespace Nibble.Cpu.Threading;

/// <summary>Work cut into independent units; a unit's result does not depend on who runs it or when.</summary>
internal interface IJob
{
    /// <summary>Runs one unit.</summary>
    /// <param name="unit">0 … units - 1.</param>
    /// <param name="worker">Which member of the team runs it: selects scratch memory.</param>
    void Run(int unit, int worker);
}
