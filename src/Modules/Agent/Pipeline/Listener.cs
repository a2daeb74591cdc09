using VoicePlatform.Agent.Audio;
using VoicePlatform.Agent.Speech;
using VoicePlatform.LiveKit.Rtc;

namespace VoicePlatform.Agent.Pipeline;

/// <summary>
/// Listens to the caller's track: tells speech from silence, hands the recogniser each stretch of speech, from a moment before it
/// was noticed, and posts what happens.
/// </summary>
internal sealed class Listener(Conversation conversation, IRecogniser recogniser, TimeProvider clock)
{
    private const int LeadInFrames = 15;        // 300 ms before the detector was sure: soft first sounds

    private readonly VoiceActivity _voice = new();
    private readonly short[] _leadIn = new short[LeadInFrames * Pcm.FrameSamples];
    private long _frames;
    private int _segment;

    /// <summary>Until the track ends.</summary>
    public async Task RunAsync(RemoteAudioStream track, CancellationToken ct)
    {
        var frame = new short[Pcm.FrameSamples];
        while (await track.ReadAsync(frame, ct) > 0)
        {
            await HearAsync(frame, ct);
        }

        if (_voice.IsSpeech)
        {
            recogniser.End();
            await conversation.PostAsync(new ConversationEvent.SpeechStopped(clock.GetUtcNow()), ct);
        }
    }

    private async ValueTask HearAsync(short[] frame, CancellationToken ct)
    {
        switch (_voice.Next(frame))
        {
            case Activity.Started:
                recogniser.Begin(++_segment);
                for (var back = Math.Min(LeadInFrames, _frames); back > 0; back--)
                {
                    recogniser.Push(_leadIn.AsSpan((int)((_frames - back) % LeadInFrames) * Pcm.FrameSamples, Pcm.FrameSamples));
                }

                recogniser.Push(frame);
                await conversation.PostAsync(new ConversationEvent.SpeechStarted(clock.GetUtcNow()), ct);
                break;
            case Activity.Speech:
                recogniser.Push(frame);
                break;
            case Activity.Stopped:
                recogniser.End();
                await conversation.PostAsync(
                    new ConversationEvent.SpeechStopped(clock.GetUtcNow() - TimeSpan.FromMilliseconds(_voice.SilentFrames * Pcm.FrameMs)), ct);
                break;
        }

        frame.CopyTo(_leadIn.AsSpan((int)(_frames++ % LeadInFrames) * Pcm.FrameSamples));
    }
}
