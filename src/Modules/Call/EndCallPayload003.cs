using VoicePlatform.Calls.Data;
using VoicePlatform.Contracts.Sessions;

namespace VoicePlatform.Calls;

/// <summary>What seed 003 posts to an assistant's end-call URL: these keys and no others.</summary>
internal static class EndCallPayload003
{
    public static string Of(Call call, IReadOnlyList<SpokenLine> transcript, string? recordingUrl) => Json.Write(new
    {
        success = true,
        message = "Call details fetched successfully",
        data = new
        {
            room_name = call.RoomName,
            assistant_id = call.AssistantId,
            assistant_name = call.AssistantName,
            to_number = call.ToNumber,
            recording_path = recordingUrl,
            transcripts = transcript.Select(l => new { speaker = l.Speaker, text = l.Text, timestamp = l.StartedAt }),
            started_at = call.AnsweredAt,
            ended_at = call.EndedAt,
            call_duration_minutes = Math.Round((call.DurationS ?? 0) / 60, 2),
        },
    });
}
