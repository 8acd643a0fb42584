using System.Text;
using CsCheck;
using Nibble.Data;
using Nibble.Data.Templates;
using Nibble.Data.Tokenizers;

namespace Nibble.Tests.Data;

public sealed class BpeTrainerTests : IDisposable
{
    private static readonly string[] Corpus =
    [
        "list the files of the folder", "list the lines of the file that hold the word error",
        "find . -name '*.log' -mtime +7", "find . -name '*.txt' | xargs wc -l", "aaaaaa aaaa aa a aaaaaaa",
        "the folder's files\r\n\r\n  and the file's lines\n", "Größe, naïve, 日本語 日本 😀😀", "3000 300 30 3",
    ];

    private readonly string _folder =
        Path.Combine(Path.GetTempPath(), "nibble-bpe-" + Guid.NewGuid().ToString("N"));

    public void Dispose()
    {
        if (Directory.Exists(_folder))
        {
            Directory.Delete(_folder, recursive: true);
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void Train_SmallCorpora_GivesTheMergesOfTheTextbook(int minimumFrequency)
    {
        AssertTextbook(Corpus, minimumFrequency);
        var word = Gen.Char["abc 'é\n"].Array[1, 12].Select(letters => new string(letters));
        word.Array[1, 12].Sample(texts => AssertTextbook(texts, minimumFrequency), iter: 200);
    }

    [Fact]
    public void Train_OtherOrderOfTexts_GivesTheSameVocabulary()
    {
        var expected = BpeTrainer.Train(Corpus, 400);
        var found = BpeTrainer.Train(Corpus.Reverse(), 400);
        Assert.Equal(expected.Merges, found.Merges);
        Assert.Equal(expected.Entries, found.Entries);
    }

    [Fact]
    public void Train_FrequentWords_BecomeSingleTokens()
    {
        var tokenizer = SaveAndLoad(BpeTrainer.Train(Corpus, 400));
        foreach (var text in new[] { " the", " file", "find", "list", " 日本" })
        {
            Assert.Single(tokenizer.Encode(text));
        }
    }

    [Fact]
    public void Train_SpecialTokensInTheText_AreNotLearnt()
    {
        var texts = Enumerable.Repeat("<|im_start|>user\nhello<|im_end|>\n<|endoftext|>", 20);
        var vocabulary = BpeTrainer.Train(texts, 400);
        Assert.Equal(BpeTrainer.Train(Enumerable.Repeat("user\nhello", 20), 400).Merges, vocabulary.Merges);
        Assert.DoesNotContain(vocabulary.Entries.Skip(256), entry => Encoding.UTF8.GetString(entry).Contains("im_"));
    }

    [Fact]
    public void Train_TextInTwoNormalForms_CountsAsOne() => Assert.Equal(
        BpeTrainer.Train(["naïveté", "naïveté"], 300).Merges,
        BpeTrainer.Train(["naïveté", "nai\u0308vete\u0301"], 300).Merges);

    [Fact]
    public void Train_ImpossibleArguments_AreRefused()
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => BpeTrainer.Train(Corpus, BpeTrainer.SmallestVocabulary - 1));
        Assert.Throws<ArgumentOutOfRangeException>(() => BpeTrainer.Train(Corpus, 400, minimumFrequency: 0));
        Assert.Contains("hold none", Assert.Throws<TokenizerException>(() => BpeTrainer.Train(["", ""], 400)).Message);
    }

    [Fact]
    public void Save_Loaded_EncodesByTheTrainedMergesAndDecodesToTheSameText()
    {
        var vocabulary = BpeTrainer.Train(Corpus, 360);
        var tokenizer = SaveAndLoad(vocabulary);
        Assert.Equal(vocabulary.Count, tokenizer.VocabularySize);
        for (var id = 0; id < vocabulary.Entries.Count; id++)
        {
            Assert.Equal(vocabulary.Entries[id], tokenizer.BytesOf(id).ToArray());
        }

        // Normalisation changes text that is not in form C, and half a surrogate pair is no text.
        Gen.Char["aelth \n\r\t'9<|>_é日 "].Array[0, 60].Select(letters => new string(letters) + "😀").Sample(text =>
            Assert.Equal(text, tokenizer.Decode(tokenizer.Encode(text), skipSpecial: false)), iter: 500);
    }

    [Fact]
    public void Save_Loaded_HasTheSpecialTokensAfterTheVocabularyAndTheirRoles()
    {
        var vocabulary = BpeTrainer.Train(Corpus, 300);
        var tokenizer = SaveAndLoad(vocabulary);
        var first = vocabulary.Entries.Count;
        Assert.Equal([first, first + 1, first + 2], tokenizer.Encode("<|endoftext|><|im_start|><|im_end|>"));
        Assert.True(tokenizer.IsSpecial(first) && tokenizer.IsSpecial(first + 1) && tokenizer.IsSpecial(first + 2));
        Assert.Equal((first + 2, (int?)null, first), (tokenizer.EosId, tokenizer.BosId, tokenizer.PadId));
        Assert.Equal(first + 1, vocabulary.IdOf(BpeTrainer.TurnStart));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Save_Loaded_RendersChatMl(bool addGenerationPrompt)
    {
        var tokenizer = SaveAndLoad(BpeTrainer.Train(Corpus, 300));
        ChatMessage[] messages = [Message("system", " be brief\n"), Message("user", "hi"), Message("assistant", "ho")];
        Assert.Equal(
            new ChatMlTemplate().Render(messages, addGenerationPrompt),
            new JinjaTemplate("tokenizer_config.json", tokenizer.ChatTemplateText!, tokenizer.SpecialTokens)
                .Render(messages, addGenerationPrompt));
    }

    [Fact]
    public void Save_FolderWithATokenizer_IsRefusedUnlessAsked()
    {
        var vocabulary = BpeTrainer.Train(Corpus, 300);
        vocabulary.Save(_folder);
        var before = File.ReadAllBytes(Path.Combine(_folder, "tokenizer.json"));
        var other = BpeTrainer.Train(Corpus, 310);
        Assert.Contains("found one", Assert.Throws<TokenizerException>(() => other.Save(_folder)).Message);
        Assert.Equal(before, File.ReadAllBytes(Path.Combine(_folder, "tokenizer.json")));
        other.Save(_folder, overwrite: true);
        Assert.Equal(other.Count, HfTokenizer.Load(_folder).VocabularySize);
    }

    [Fact]
    public void ReadTexts_TextAndRows_GivesContentAndEveryStringValue()
    {
        Directory.CreateDirectory(_folder);
        var (rows, text) = (Path.Combine(_folder, "a.jsonl"), Path.Combine(_folder, "b.txt"));
        File.WriteAllText(rows, "{\"a\":[\"one\",{\"b\":\"two\",\"n\":3}]}\n\n{\"a\":\"\\u0074hree\",\"c\":null}\n");
        File.WriteAllText(text, "four\r\n\r\n  five\n");
        var found = BpeTrainer.ReadTexts([rows, text]).ToList();
        Assert.Equal(["one", "two", "three"], found[..3]);
        Assert.Equal("four\r\n\r\n  five", string.Concat(found[3..]));
    }

    [Fact]
    public void ReadTexts_BrokenRow_NamesFileAndLine()
    {
        Directory.CreateDirectory(_folder);
        var rows = Path.Combine(_folder, "a.jsonl");
        File.WriteAllText(rows, "{\"a\":\"fine\"}\n{\"a\":\"\\ud800\"}\n");
        var error = Assert.Throws<DatasetException>(() => BpeTrainer.ReadTexts([rows]).ToList());
        Assert.Contains("a.jsonl:2", error.Message);
    }

    private static ChatMessage Message(string role, string content) => new(role, content);

    private static void AssertTextbook(IReadOnlyList<string> texts, int minimumFrequency)
    {
        const int Size = BpeTrainer.SmallestVocabulary + 60;
        var found = BpeTrainer.Train(texts, Size, minimumFrequency);
        var expected = Textbook(texts, 60, minimumFrequency);
        Assert.Equal(expected, found.Merges.Select(m => (Hex(found.Entries[m.Left]), Hex(found.Entries[m.Right]))));
        Assert.Equal(found.Entries.Count, found.Entries.Select(Hex).Distinct().Count());
    }

    /// <summary>Counts every pair again for every merge.</summary>
    private static List<(string Left, string Right)> Textbook(
        IReadOnlyList<string> texts, int learnt, int minimumFrequency)
    {
        var words = new List<List<string>>();
        foreach (var text in texts.Select(NfcNormalizer.Normalize))
        {
            for (var start = 0; start < text.Length;)
            {
                var end = PieceSplitter.End(SplitPattern.Qwen2, text, start);
                words.Add([.. Encoding.UTF8.GetBytes(text[start..end]).Select(b => Hex([b]))]);
                start = end;
            }
        }

        var ids = Enumerable.Range(0, 256).OrderBy(b => ByteAlphabet.ToChar((byte)b))
            .Select((b, id) => (Name: Hex([(byte)b]), Id: id)).ToDictionary(pair => pair.Name, pair => pair.Id);
        var result = new List<(string, string)>();
        while (ids.Count < 256 + learnt)
        {
            var pairs = words.SelectMany(word => word.Zip(word.Skip(1))).CountBy(pair => pair)
                .Where(pair => pair.Value >= minimumFrequency)
                .OrderByDescending(pair => pair.Value)
                .ThenBy(pair => ids[pair.Key.First]).ThenBy(pair => ids[pair.Key.Second]).ToList();
            if (pairs.Count == 0)
            {
                break;
            }

            var (left, right) = pairs[0].Key;
            if (!result.Contains((left, right)))
            {
                result.Add((left, right));
            }

            ids.TryAdd(left + right, ids.Count);
            foreach (var word in words)
            {
                for (var i = 0; i + 1 < word.Count; i++)
                {
                    if (word[i] == left && word[i + 1] == right)
                    {
                        word[i] = left + right;
                        word.RemoveAt(i + 1);
                    }
                }
            }
        }

        return result;
    }

    private static string Hex(byte[] bytes) => Convert.ToHexString(bytes);

    private HfTokenizer SaveAndLoad(BpeVocabulary vocabulary)
    {
        vocabulary.Save(_folder);
        return HfTokenizer.Load(_folder);
    }
}
