using System.Text.Json;
using VoicePlatform.SharedKernel;

namespace VoicePlatform.Tests.SharedKernel;

internal sealed class JsonTests
{
    private enum Mood { Good, VeryGood }

    private sealed record Thing(string FirstName, DateTimeOffset MadeAt, Mood Mood = Mood.Good, IReadOnlyDictionary<string, int>? Counts = null);

    [Test]
    public void Names_and_words_are_snake_case_and_the_tenants_own_keys_are_left_alone() =>
        Assert.That(
            Json.Write(new Thing("Ada", DateTimeOffset.UnixEpoch, Mood.VeryGood, new Dictionary<string, int> { ["myKey"] = 1 })),
            Is.EqualTo("""{"first_name":"Ada","made_at":"1970-01-01T00:00:00.000Z","mood":"very_good","counts":{"myKey":1}}"""));

    [TestCase("2026-03-01T12:00:00+02:00", "2026-03-01T10:00:00.000Z")]
    [TestCase("2026-03-01T12:00:00.1239Z", "2026-03-01T12:00:00.123Z")]
    public void Times_are_written_in_utc_with_milliseconds(string written, string expected)
    {
        var thing = Json.Read<Thing>($$"""{"first_name":"Ada","made_at":"{{written}}"}""");

        Assert.That(Json.Write(thing), Does.Contain($"\"{expected}\""));
    }

    [TestCase("""{"first_name":"Ada","made_at":"1970-01-01T00:00:00Z","nickname":"A"}""", Description = "an unknown field")]
    [TestCase("""{"FirstName":"Ada","made_at":"1970-01-01T00:00:00Z"}""", Description = "another case")]
    [TestCase("""{"first_name":"Ada","made_at":"yesterday"}""")]
    [TestCase("""{"first_name":"Ada","made_at":0}""")]
    [TestCase("""{"first_name":"Ada","made_at":"1970-01-01T00:00:00Z","mood":1}""", Description = "an enum by number")]
    [TestCase("""{"first_name":"Ada","made_at":"1970-01-01T00:00:00Z","mood":"bad"}""")]
    [TestCase("""{"first_name":"Ada","made_at":"1970-01-01T00:00:00Z","counts":{"a":"1"}}""", Description = "a number as text")]
    [TestCase("null")]
    [TestCase("[]")]
    [TestCase("{")]
    public void What_is_not_what_was_asked_for_is_refused(string json) => Assert.That(() => Json.Read<Thing>(json), Throws.InstanceOf<JsonException>());

    [Test]
    public void A_document_nested_without_end_is_refused() =>
        Assert.That(() => Json.Read<JsonElement>(new string('[', 100) + new string(']', 100)), Throws.InstanceOf<JsonException>());
}
