using VoicePlatform.MediaServer.Rooms;

namespace VoicePlatform.Tests.MediaServer;

internal sealed class SpeakerLevelTests
{
    [Test]
    public void Speech_is_told_in_eighths_and_silence_after_two_intervals()
    {
        var speaker = new SpeakerLevel();
        float[] told = [.. new[] { 0.0, 0.3, 0.3, 0.001, 0.001, 0.3 }.Select(level => speaker.Told = speaker.Update(level))];
        Assert.That(told, Is.EqualTo(new[] { 0f, 0.25f, 0.375f, 0.125f, 0f, 0.25f }));
    }

    [Test]
    public void Noise_below_the_threshold_is_nobody_speaking()
    {
        var speaker = new SpeakerLevel();
        Assert.That(Enumerable.Range(0, 20).Select(_ => speaker.Told = speaker.Update(0.01)), Is.All.Zero);
    }
}
