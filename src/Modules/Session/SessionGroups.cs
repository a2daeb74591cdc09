namespace VoicePlatform.Sessions;

/// <summary>What figures about sessions are grouped by, as SQL over session.sessions s.</summary>
internal static class SessionGroups
{
    public static string Key(GroupBy groupBy) => groupBy switch
    {
        GroupBy.Day => "to_char(s.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD')",
        GroupBy.Assistant => "s.assistant_id",
        GroupBy.Number => "CASE s.phone->>'direction' WHEN 'inbound' THEN s.phone->>'to_number' ELSE s.phone->>'from_number' END",
        _ => throw new ArgumentOutOfRangeException(nameof(groupBy), groupBy, null),
    };
}
