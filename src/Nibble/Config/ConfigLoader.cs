namespace Nibble.Config;

/// <summary>Reads a run's YAML.</summary>
public static class ConfigLoader
{
}
