using VoicePlatform.SharedKernel;

namespace VoicePlatform.Tests.SharedKernel;

internal sealed class IdsTests
{
    private static readonly DateTimeOffset Now = new(2026, 3, 1, 12, 0, 0, TimeSpan.Zero);

    [Test]
    public void An_id_is_its_prefix_and_26_characters_that_room_names_can_hold()
    {
        var id = Ids.New(Ids.Session, Now);

        Assert.That(id, Does.Match("^ses[0-9abcdefghjkmnpqrstvwxyz]{26}$"));
        Assert.That(Ids.IsWellFormed(id, Ids.Session));
    }

    [Test]
    public void Ids_sort_by_the_time_they_were_made_at()
    {
        var random = new Random(7);
        var moments = Enumerable.Range(0, 500).Select(_ => Now.AddMilliseconds(random.NextInt64(0, 20L * 365 * 86_400_000))).Distinct().Order().ToList();
        var ids = moments.ConvertAll(m => Ids.New(Ids.Event, m));

        Assert.That(ids, Is.Ordered.Using((IComparer<string>)StringComparer.Ordinal));
    }

    [Test]
    public void Ids_of_one_instant_differ() =>
        Assert.That(Enumerable.Range(0, 10_000).Select(_ => Ids.New(Ids.Event, Now)).Distinct().Count(), Is.EqualTo(10_000));

    [Test]
    public void The_time_of_an_id_is_the_first_48_bits_of_the_uuid_in_it()
    {
        const string Alphabet = "0123456789abcdefghjkmnpqrstvwxyz";
        var value = Ids.New(Ids.Hold, Now)[3..].Aggregate(UInt128.Zero, (sum, c) => (sum << 5) | (uint)Alphabet.IndexOf(c, StringComparison.Ordinal));

        Assert.That((long)(value >> 80), Is.EqualTo(Now.ToUnixTimeMilliseconds()));
        Assert.That((int)(value >> 76) & 0xF, Is.EqualTo(7), "the version");
    }

    [TestCase(null)]
    [TestCase("")]
    [TestCase("ses")]
    [TestCase("ast0123456789abcdefghjkmnpqr", Description = "another kind")]
    [TestCase("ses0123456789abcdefghjkmnpq", Description = "too short")]
    [TestCase("ses0123456789abcdefghjkmnpqrs0", Description = "too long")]
    [TestCase("ses0123456789ABCDEFGHJKMNPQRS", Description = "upper case")]
    [TestCase("ses0123456789abcdefghijklmnop", Description = "i, l and o are not in the alphabet")]
    [TestCase("ses0123456789abcdefghjkmn'; --")]
    public void What_is_no_id_is_known_as_such(string? text) => Assert.That(Ids.IsWellFormed(text, Ids.Session), Is.False);

    [Test]
    public void Every_prefix_is_three_letters_and_its_own()
    {
        var prefixes = typeof(Ids).GetFields().Where(f => f is { IsLiteral: true } && f.FieldType == typeof(string)).Select(f => (string)f.GetRawConstantValue()!).ToList();

        Assert.That(prefixes, Is.Not.Empty.And.Unique);
        Assert.That(prefixes, Is.All.Matches("^[a-z]{3}$"));
    }
}
