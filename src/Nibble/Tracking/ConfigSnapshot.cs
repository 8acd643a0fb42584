using System.Globalization;
using System.Text.Json.Nodes;
using Nibble.Config;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace Nibble.Tracking;

/// <summary>A resolved run as YAML key → value: what a tracker's run page shows and runs are compared by.</summary>
internal static class ConfigSnapshot
{
    private static readonly string[] _secretMarks =
    [
        "api_key", "apikey", "password", "passwd", "secret", "credential", "private_key", "hf_token", "hub_token",
        "auth_token", "access_token", "bearer",
    ];

    /// <summary>Every key with a value of <see cref="ConfigPrinter"/>'s YAML, in its order.</summary>
    internal static JsonObject Of(RunConfig config)
    {
        YamlStream yaml = [];
        yaml.Load(new StringReader(ConfigPrinter.Print(config)));
        return yaml.Documents.Count == 0 ? [] : (JsonObject)Convert(yaml.Documents[0].RootNode)!;
    }

    /// <summary>A copy without keys that name secrets, and without user names and passwords inside URLs.</summary>
    internal static JsonObject WithoutSecrets(JsonObject config)
    {
        JsonObject clean = [];
        foreach ((string key, JsonNode? value) in config)
        {
            if (!IsSecret(key))
            {
                clean[key] = Clean(value);
            }
        }

        return clean;
    }

    private static JsonNode? Convert(YamlNode node) => node switch
    {
        YamlMappingNode mapping => new JsonObject(mapping.Children.Select(
            pair => KeyValuePair.Create(((YamlScalarNode)pair.Key).Value ?? string.Empty, Convert(pair.Value)))),
        YamlSequenceNode sequence => new JsonArray([.. sequence.Children.Select(Convert)]),
        YamlScalarNode scalar => Scalar(scalar.Value ?? string.Empty, scalar.Style),
        _ => null,
    };

    private static JsonValue? Scalar(string text, ScalarStyle style) => style != ScalarStyle.Plain
        ? JsonValue.Create(text)
        : text switch
        {
            "" or "~" or "null" => null,
            "true" => JsonValue.Create(true),
            "false" => JsonValue.Create(false),
            _ when long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long whole)
                => JsonValue.Create(whole),
            _ when double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double number)
                && double.IsFinite(number) => JsonValue.Create(number),
            _ => JsonValue.Create(text),
        };

    private static JsonNode? Clean(JsonNode? node) => node switch
    {
        JsonObject inner => WithoutSecrets(inner),
        JsonArray array => new JsonArray([.. array.Select(Clean)]),
        JsonValue value when value.TryGetValue(out string? text) => JsonValue.Create(CleanUrl(text)),
        _ => node?.DeepClone(),
    };

    private static string CleanUrl(string text) =>
        text.Contains("://", StringComparison.Ordinal)
        && Uri.TryCreate(text, UriKind.Absolute, out Uri? uri)
        && uri.UserInfo.Length > 0
            ? text.Replace(uri.UserInfo + "@", "***@", StringComparison.Ordinal)
            : text;

    private static bool IsSecret(string key)
    {
        foreach (string mark in _secretMarks)
        {
            if (key.Contains(mark, StringComparison.OrdinalIgnoreCase))
            {
                return true;
            }
        }

        return false;
    }
}
