namespace VoicePlatform.Host.OpenApi;

/// <summary>GET /docs: both documents to read and to try with one's own key. Everything it loads comes from this host.</summary>
internal static class DocsPage
{
    private const string Style =
        """
        <style>
          body { background: #fafafa; }
          .swagger-ui .topbar { background: #14213d; padding: 6px 0; }
          .swagger-ui .topbar .link, .swagger-ui .topbar-wrapper > a { display: none; }
          .swagger-ui .topbar-wrapper::before { content: "VoicePlatform"; color: #fff; font: 600 20px/1.2 system-ui, sans-serif; margin-right: auto; }
          .swagger-ui .topbar .download-url-wrapper { flex: 0 1 420px; }
          .swagger-ui .info { margin: 28px 0 12px; }
          .swagger-ui .scheme-container { box-shadow: none; border-bottom: 1px solid #e5e7eb; background: transparent; padding: 12px 0; }
          .swagger-ui .opblock-tag { font-size: 18px; }
          .swagger-ui .opblock .opblock-summary-description { font-size: 14px; color: #475569; }
          .swagger-ui .markdown p, .swagger-ui .renderedMarkdown p { line-height: 1.5; }
        </style>
        """;

    public static void UseDocsPage(this WebApplication app) => app.UseSwaggerUI(page =>
    {
        page.RoutePrefix = "docs";
        page.DocumentTitle = "VoicePlatform API";
        page.HeadContent = Style;
        page.SwaggerEndpoint("/openapi/v1.json", "The API (/v1)");
        page.SwaggerEndpoint("/openapi/compat.json", "Routes of the seeds");
        page.DocExpansion(Swashbuckle.AspNetCore.SwaggerUI.DocExpansion.None);
        page.DefaultModelsExpandDepth(0);
        page.DefaultModelRendering(Swashbuckle.AspNetCore.SwaggerUI.ModelRendering.Model);
        page.EnableDeepLinking();
        page.EnableFilter();
        page.EnableTryItOutByDefault();
        page.DisplayRequestDuration();
    });
}
