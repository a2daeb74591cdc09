using VoicePlatform.Agent.Language;

namespace VoicePlatform.Tests.Agent;

internal sealed class SentenceSplitterTests
{
    [TestCase("Hello there, my friend. How are you today? Fine!", "Hello there, my friend.|How are you today?|Fine!")]
    [TestCase("Dr. Smith is in. Please wait.", "Dr. Smith is in.|Please wait.")]
    [TestCase("It costs 3.50 euros, e.g. for a coffee.", "It costs 3.50 euros, e.g. for a coffee.")]
    [TestCase("Yes. No. Maybe so.", "Yes. No. Maybe so.")]
    [TestCase("One line\nanother line", "One line|another line")]
    [TestCase("", "")]
    [TestCase("  \n \n ", "")]
    public void Text_is_cut_into_sentences(string text, string expected) => Assert.That(string.Join('|', Split(text, text.Length)), Is.EqualTo(expected));

    [Test]
    public void It_makes_no_difference_in_which_pieces_the_text_comes()
    {
        const string text = "Welcome to the bistro. We are open from nine to ten! Would you like a table, e.g. near the window? Tell Mr. Jones.";
        var whole = Split(text, text.Length);

        for (var length = 1; length < 20; length++)
        {
            Assert.That(Split(text, length), Is.EqualTo(whole), $"pieces of {length}");
        }
    }

    [Test]
    public void A_sentence_is_given_out_as_soon_as_the_next_begins()
    {
        var splitter = new SentenceSplitter();

        Assert.That(splitter.Push("This is the first one."), Is.Empty, "Perhaps 3.5 follows.");
        Assert.That(splitter.Push(" An"), Is.EqualTo(["This is the first one."]));
    }

    [Test]
    public void What_has_no_end_is_cut_at_a_comma_or_a_space_and_nothing_is_lost()
    {
        var list = string.Join(", ", Enumerable.Repeat("apples and pears", 100));
        var pieces = Split(list, 7);

        Assert.That(pieces, Has.All.Length.LessThanOrEqualTo(241));
        Assert.That(string.Join(' ', pieces), Is.EqualTo(list));
        Assert.That(string.Concat(Split(new string('x', 1000), 50)), Has.Length.EqualTo(1000));
    }

    [Test]
    public void Whatever_comes_is_split_without_losing_a_letter()
    {
        var random = new Random(3);
        const string alphabet = "ab .!?,…\n。";
        for (var run = 0; run < 300; run++)
        {
            var text = string.Concat(Enumerable.Range(0, random.Next(600)).Select(_ => alphabet[random.Next(alphabet.Length)]));

            Assert.That(Letters(string.Concat(Split(text, random.Next(1, 40)))), Is.EqualTo(Letters(text)));
        }

        static string Letters(string text) => string.Concat(text.Where(c => !char.IsWhiteSpace(c)));
    }

    private static List<string> Split(string text, int pieceLength)
    {
        var splitter = new SentenceSplitter();
        var sentences = text.Chunk(Math.Max(1, pieceLength)).SelectMany(piece => splitter.Push(new string(piece)).ToArray()).ToList();
        if (splitter.Flush() is { } last)
        {
            sentences.Add(last);
        }

        return sentences;
    }
}
