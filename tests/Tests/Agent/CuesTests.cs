using VoicePlatform.Agent.Turns;

namespace VoicePlatform.Tests.Agent;

internal sealed class CuesTests
{
    [TestCase("Hi, you've reached Anna. Please leave a message after the beep.", true)]
    [TestCase("the person you are calling is not available to take your call", true)]
    [TestCase("hello this is anna speaking", false)]
    [TestCase("can i leave now", false)]
    public void A_machine_is_known_by_its_words(string text, bool isMachine) => Assert.That(Cues.IsMachine(text), Is.EqualTo(isMachine));

    [TestCase("Hold on, please!", true)]
    [TestCase("uh one moment let me get my husband", true)]
    [TestCase("the household onion", false)]
    [TestCase("can you hold a table for two", false)]
    public void Who_asks_to_wait_is_known_by_whole_words(string text, bool asks) => Assert.That(Cues.AsksToWait(text), Is.EqualTo(asks));

    [Test]
    public void An_empty_phrase_matches_nothing() => Assert.That(Cues.HasAny("anything at all", ["", "  ", "!"]), Is.False);
}
