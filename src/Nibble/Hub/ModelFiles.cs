using System.Text.Json;

namespace Nibble.Hub;

/// <summary>Which files of a repository make a model: settings, tokenizer and safetensors weights. Pickled weights are
/// never among them: reading one runs what is in it.</summary>
public static class ModelFiles
{
    private const string Config = "config.json";
    private const string Tokenizer = "tokenizer.json";
    private const string Single = "model.safetensors";
    private const string Index = "model.safetensors.index.json";

    private static readonly string[] Settings =
    [
        Config, "generation_config.json", Tokenizer, "tokenizer_config.json", "special_tokens_map.json",
        "added_tokens.json", "vocab.json", "merges.txt", "tokenizer.model", "chat_template.jinja",
        "chat_template.json", Index,
    ];

    private static readonly string[] Pickles = [".bin", ".pt", ".pth", ".ckpt"];

    /// <summary>Everything but weights.</summary>
    /// <param name="listing">The repository's files.</param>
    /// <exception cref="HubException">It is no model.</exception>
    public static IReadOnlyList<HubFile> Small(HubListing listing)
    {
        ArgumentNullException.ThrowIfNull(listing);
        Require(listing, Config, "a model's config.json");
        return [.. listing.Files.Where(file => Settings.Contains(file.Path))];
    }

    /// <summary>The tokenizer's files.</summary>
    /// <param name="listing">The repository's files.</param>
    /// <exception cref="HubException">It has no tokenizer.json.</exception>
    public static IReadOnlyList<HubFile> OfTokenizer(HubListing listing)
    {
        ArgumentNullException.ThrowIfNull(listing);
        Require(listing, Tokenizer, "a tokenizer.json");
        return [.. listing.Files.Where(file => Settings.Contains(file.Path) && file.Path is not Index)];
    }

    /// <summary>The weights: one file, or the shards that the index names. The index has to be here.</summary>
    /// <param name="listing">The repository's files.</param>
    /// <exception cref="HubException">There are no safetensors, or the index names a shard that is not there.
    /// </exception>
    public static IReadOnlyList<HubFile> Weights(HubListing listing)
    {
        ArgumentNullException.ThrowIfNull(listing);
        if (listing.Find(Single) is { } single)
        {
            return [single];
        }

        if (listing.Find(Index) is null)
        {
            var pickles = listing.Files.Where(file => Array.Exists(Pickles, file.Path.EndsWith)).ToList();
            throw new HubException(
                listing.IsLocal ? HubError.Offline : HubError.Unsuitable,
                $"{listing.Repository}: expected weights as {Single} or {Index}, found "
                + (pickles.Count == 0 ? "neither" : $"{pickles[0].Name}, which is a pickle: reading one runs whatever "
                    + "code is in it, so it is never opened")
                + (listing.IsLocal ? $" in the cache ({listing.Folder})." : ". Choose a repository with safetensors."));
        }

        return
        [
            .. Shards(listing).Select(name => listing.Find(name) ?? throw new HubException(
                listing.IsLocal ? HubError.Offline : HubError.Unsuitable,
                $"{listing.Repository}: expected the shard {HubPath.Shown(name)} that {Index} names, found no such "
                + (listing.IsLocal ? $"file in the cache ({listing.Folder})." : "file in the repository."))),
        ];
    }

    private static List<string> Shards(HubListing listing)
    {
        var path = Path.Combine(listing.Folder, Index);
        try
        {
            using var document = JsonDocument.Parse(File.ReadAllBytes(path));
            List<string> names =
            [
                .. document.RootElement.GetProperty("weight_map").EnumerateObject()
                    .Select(tensor => tensor.Value.GetString() ?? "").Distinct().Order(StringComparer.Ordinal),
            ];
            return names.Find(name => !name.EndsWith(".safetensors", StringComparison.Ordinal)) is not { } other
                ? names
                : throw new HubException(
                    HubError.Unsuitable,
                    $"{listing.Repository}: expected shards named *.safetensors in {Index}, found "
                    + $"{HubPath.Shown(other)}, which is never opened. Choose a repository with safetensors.");
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException)
        {
            throw new HubException(
                HubError.Unsuitable,
                $"{listing.Repository}: expected {{\"weight_map\": {{tensor: shard}}}} in {Index}, found something "
                + "else.", e);
        }
    }

    private static void Require(HubListing listing, string name, string what)
    {
        if (listing.Find(name) is null)
        {
            throw new HubException(
                listing.IsLocal ? HubError.Offline : HubError.Unsuitable,
                $"{listing.Repository}: expected {what}, found none "
                + (listing.IsLocal
                    ? $"in the cache ({listing.Folder})."
                    : listing.Files.Any(file => file.Name == "adapter_config.json")
                        ? "in the repository: it holds an adapter; name the model it belongs to."
                        : "in the repository."));
        }
    }
}
