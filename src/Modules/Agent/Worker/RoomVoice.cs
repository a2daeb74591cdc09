using System.Threading.Channels;
using VoicePlatform.Agent.Pipeline;
using VoicePlatform.LiveKit.Rtc;

namespace VoicePlatform.Agent.Worker;

/// <summary>
/// Shows a conversation in its LiveKit room the way LiveKit's front ends expect it: the state as attribute lk.agent.state, the
/// transcript as text streams on lk.transcription. One task sends; when the room is too slow, texts that will be replaced are dropped.
/// </summary>
internal sealed partial class RoomVoice(RtcRoom room, string callerIdentity, Func<string, Task<string?>> transfer, ILogger log) : IRoomVoice
{
    private const int Waiting = 64;

    private readonly Channel<Shown> _queue = Channel.CreateBounded<Shown>(new BoundedChannelOptions(Waiting) { FullMode = BoundedChannelFullMode.DropOldest, SingleReader = true });
    private string _state = "";

    /// <summary>The assistant's and the caller's tracks, as far as known: transcripts name the track they are of.</summary>
    public string? AgentTrackSid { get; set; }

    public string? CallerTrackSid { get; set; }

    public void ShowState(string state)
    {
        if (_state != state)
        {
            _queue.Writer.TryWrite(new Shown.State(_state = state));
        }
    }

    public Task<string?> TransferAsync(string to) => transfer(to);

    public void ShowText(bool ofCaller, string segment, string text, bool final) => _queue.Writer.TryWrite(new Shown.Text(ofCaller, segment, text, final));

    public void Complete() => _queue.Writer.TryComplete();

    /// <summary>Never fails: a room that does not take it any more is none of the conversation's business.</summary>
    public async Task RunAsync(CancellationToken ct)
    {
        try
        {
            await foreach (var shown in _queue.Reader.ReadAllAsync(ct))
            {
                try
                {
                    await SendAsync(shown, ct);
                }
                catch (RtcException e)
                {
                    NotShown(log, e.Message);
                }
            }
        }
        catch (OperationCanceledException) when (ct.IsCancellationRequested)
        {
            // The conversation is over.
        }
    }

    private async Task SendAsync(Shown shown, CancellationToken ct)
    {
        if (shown is Shown.State state)
        {
            await room.LocalParticipant.SetAttributesAsync(new Dictionary<string, string> { ["lk.agent.state"] = state.Name }, ct);
            return;
        }

        var text = (Shown.Text)shown;
        var attributes = new Dictionary<string, string>
        {
            ["lk.segment_id"] = text.Segment,
            ["lk.transcription_final"] = text.Final ? "true" : "false",
        };
        if ((text.OfCaller ? CallerTrackSid : AgentTrackSid) is { } track)
        {
            attributes["lk.transcribed_track_id"] = track;
        }

        await room.LocalParticipant.SendTextAsync(
            text.Content,
            new TextStreamOptions { Topic = "lk.transcription", Attributes = attributes, SenderIdentity = text.OfCaller ? callerIdentity : null },
            ct);
    }

    [LoggerMessage(LogLevel.Debug, "The room did not take a state or transcript: {Reason}")]
    private static partial void NotShown(ILogger logger, string reason);

    private abstract record Shown
    {
        public sealed record State(string Name) : Shown;

        public sealed record Text(bool OfCaller, string Segment, string Content, bool Final) : Shown;
    }
}
