namespace Nibble.Tracking;

/// <summary>A tracker's settings are wrong; found before anything is written.</summary>
/// <param name="message">What was expected, what was found, and where it was set.</param>
public sealed class TrackingException(string message) : Exception(message);
