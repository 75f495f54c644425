// Swagger UI over the service's own schema. The token stays in this browser until "Logout" in the dialog.
SwaggerUIBundle({
  url: "/openapi.yaml",
  dom_id: "#docs",
  presets: [SwaggerUIBundle.presets.apis],
  deepLinking: true,
  docExpansion: "none",
  defaultModelsExpandDepth: 0,
  displayOperationId: true,
  displayRequestDuration: true,
  filter: true,
  persistAuthorization: true,
  showExtensions: false,
  tryItOutEnabled: false,
  validatorUrl: null,
});
