using VoicePlatform.LiveKit.Tokens;

namespace VoicePlatform.LiveKit.ServerApi;

/// <summary>The rights that more than one group of methods asks for.</summary>
internal static class Grants
{
    public static AccessToken Admin(string room, string? destinationRoom = null) =>
        new() { Video = new VideoGrant { RoomAdmin = true, Room = room, DestinationRoom = destinationRoom } };
}
