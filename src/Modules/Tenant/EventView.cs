using System.Text.Json;
using System.Text.Json.Serialization;

namespace VoicePlatform.Tenants;

/// <summary>An event as it is logged and sent.</summary>
/// <param name="Sequence">Its number among the events of its subject, from 1.</param>
/// <param name="Position">Its number among all events; what ?after= goes by. Null for the moment until it is given.</param>
/// <param name="Deliveries">Where it was sent; only where one event is asked for.</param>
internal sealed record EventView(
    string Id, string Type, DateTimeOffset CreatedAt, int Sequence, string SubjectId, bool Test, long? Position, JsonElement Data,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] IReadOnlyList<DeliveryView>? Deliveries = null)
{
    public const string Columns = "id, type, created_at, sequence, subject_id, is_test, position, data";

    /// <summary>A row as the database has it.</summary>
    internal sealed record Row
    {
        public required string Id { get; init; }
        public required string Type { get; init; }
        public DateTimeOffset CreatedAt { get; init; }
        public int Sequence { get; init; }
        public required string SubjectId { get; init; }
        public bool IsTest { get; init; }
        public long? Position { get; init; }
        public required string Data { get; init; }

        public EventView View => new(Id, Type, CreatedAt, Sequence, SubjectId, IsTest, Position, Json.Read<JsonElement>(Data));
    }
}
